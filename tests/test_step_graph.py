"""The recorded step: what it computes beforehand, leaves out, and does in machine code."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from burgerslab.physics import FiniteDifference, FourierSpectral, Rollout, Scheme
from burgerslab.physics.real_arithmetic import with_real_numbers
from burgerslab.physics.solver_step import SolverStep
from burgerslab.physics.step_graph import record
from tests.test_differentiation import LINE, VISCOSITY, smooth_velocity
from tests.test_rollout import Uncapturable


def operations(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_only_what_depends_on_an_input_is_left() -> None:
    def step(values: Tensor) -> Tensor:
        factor = torch.exp(torch.arange(4, dtype=values.dtype)) + 1
        return (values.permute(0, 1) * 1).view(2, 4) * factor

    values = torch.randn(2, 4, dtype=torch.float64)
    graph = record(step, [values])
    assert operations(graph) == ["aten.mul.Tensor"]
    assert torch.equal(graph(values), step(values))


def test_what_is_written_to_is_made_anew_every_time() -> None:
    def step(values: Tensor) -> Tensor:
        padded = torch.zeros(6, dtype=values.dtype)
        padded[1:5] += values
        return padded + torch.ones(6, dtype=values.dtype)

    graph = record(step, [torch.zeros(4, dtype=torch.float64)])
    values = torch.randn(4, dtype=torch.float64)
    assert torch.equal(graph(values), step(values))
    assert torch.equal(graph(values), step(values))
    assert "aten.ones.default" not in operations(graph)


@pytest.mark.parametrize("scheme", [FiniteDifference(6), FourierSpectral()], ids=str)
def test_complex_numbers_are_left_to_the_transforms_alone(scheme: Scheme) -> None:
    inputs = smooth_velocity(LINE), VISCOSITY
    with_complex = SolverStep(scheme, LINE, 0.02, compile=False).recorded(inputs[0], {"viscosity": VISCOSITY})
    with_real = with_real_numbers(with_complex, inputs)
    assert torch.equal(with_real(*inputs), with_complex(*inputs))
    for node in with_real.graph.nodes:
        if any(n.meta["val"].is_complex() for n in node.all_input_nodes if n.op == "call_function"):
            assert str(node.target) in {"aten._fft_c2r.default", "aten.view_as_real.default"}


def test_complex_arithmetic_without_a_rule_stays() -> None:
    def step(values: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(values) + 1.5, n=8)

    values = torch.randn(8, dtype=torch.float64)
    graph = record(step, [values])
    assert with_real_numbers(graph, [values]) is graph


def test_complex_numbers_may_change_their_precision() -> None:
    def step(values: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(values).to(torch.complex128) * 0.1, n=8)

    values = torch.randn(8)
    graph = record(step, [values])
    with_real = with_real_numbers(graph, [values])
    assert with_real is not graph
    assert with_real(values).dtype == torch.float64
    assert torch.equal(with_real(values), graph(values))


# In a process of its own: what checks the types of arguments in tests cannot be compiled.
COMPILED = """
import torch
from burgerslab.physics import Domain, FiniteDifference, Rollout
torch.manual_seed(0)
domain = Domain((1.7, 0.9), (16, 12))
velocity = 0.3 * torch.randn(2, 2, 16, 12, dtype=torch.float64)
weights = torch.randn(2, 3, 2, 16, 12, dtype=torch.float64)
results = []
for options in ({"capture": False}, {"compile": True, "checkpoint": 2}):
    inputs = velocity.clone().requires_grad_(), torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
    loss = (weights * Rollout(FiniteDifference(6), domain, 0.01, **options)(*inputs, 3)).sum()
    results.append((loss, *torch.autograd.grad(loss, inputs)))
for expected, found in zip(*results, strict=True):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
"""


@pytest.mark.slow
def test_compiled_agrees_with_eager() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_compiler_the_message_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    solver = Rollout(FiniteDifference(6), LINE, 0.02, compile=True)
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler, and no-such-compiler was not found; install one"):
        solver(smooth_velocity(LINE), VISCOSITY, 1)


def test_what_cannot_be_captured_cannot_be_compiled() -> None:
    with pytest.raises(ValueError, match="needs a captured step, but Uncapturable is not capturable; set compile"):
        Rollout(Uncapturable(), LINE, 0.02, compile=True)
    with pytest.raises(ValueError, match="needs a captured step, but capture is false; set compile: false"):
        Rollout(FiniteDifference(6), LINE, 0.02, capture=False, compile=True)
