#!/usr/bin/env bash
# Train with Lightning's DDP, one process per GPU, on as many machines as asked for; simulate the store first:
#   sbatch --nodes=2 --ntasks-per-node=4 --gpus-per-node=4 configs/slurm/fit.sh CONFIG [OPTIONS of burgerslab fit]
#SBATCH --job-name=burgerslab-fit
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

config=${1:?usage: sbatch configs/slurm/fit.sh CONFIG [OPTIONS of burgerslab fit]}
shift
root=runs/slurm-$SLURM_JOB_ID # a requeued job keeps its number

# After a requeue, preemption or the loss of a machine: from the end of the last epoch, bit by bit.
resume=()
newest=$(find "$root" -path '*/checkpoints/*' \( -name last.ckpt -o -name hybrid.ckpt \) -printf '%T@ %p\n' \
    2> /dev/null | sort -n | tail -n 1 | cut -d ' ' -f 2- || true)
if [ -n "$newest" ]; then resume=(--ckpt_path="$newest"); fi

# Two minutes before the time is up, SLURM sends USR1 to this script alone (B:). Lightning, if it got the signal, would
# write a checkpoint in the middle of a step, and load it by itself into any later run under the same root.
requeued=
requeue() {
    requeued=yes
    scontrol requeue "$SLURM_JOB_ID"
}
trap requeue USR1

srun burgerslab fit --config "$config" --trainer.default_root_dir="$root" --trainer.strategy=ddp \
    --trainer.num_nodes="$SLURM_NNODES" --trainer.devices="$SLURM_NTASKS_PER_NODE" "$@" ${resume[@]+"${resume[@]}"} &
step=$!
status=0
wait "$step" || status=$? # a signal ends the waiting, too
if [ -n "$requeued" ]; then wait "$step" || status=$?; fi
exit "$status"
