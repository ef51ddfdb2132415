#!/usr/bin/env bash
# Simulate the store of a config with one Dask worker per core, on as many machines as asked for, which must share the
# file system that the store is in:
#   sbatch --nodes=4 --ntasks-per-node=32 configs/slurm/generate.sh CONFIG [OPTIONS of burgerslab generate]
#SBATCH --job-name=burgerslab-generate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

config=${1:?usage: sbatch configs/slurm/generate.sh CONFIG [OPTIONS of burgerslab generate]}
shift
port=$((20000 + SLURM_JOB_ID % 20000))
address=tcp://$(hostname):$port # this script runs on the first machine of the job
export OMP_NUM_THREADS=1
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT

dask scheduler --port "$port" --dashboard-address :0 &
# Without Dask's nanny, which changes how memory is given back, at the cost of time.
srun dask worker "$address" --nthreads 1 --no-nanny --memory-limit 0 --no-dashboard &
burgerslab generate --config "$config" --cluster "$address" "$@"
