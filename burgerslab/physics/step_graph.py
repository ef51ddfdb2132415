"""A solver step recorded as a graph of torch operations, stripped of what does no work, and compiled on request."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from burgerslab.physics.half_transforms import with_lean_derivatives
from burgerslab.physics.real_arithmetic import with_real_numbers

Step = Callable[..., Any]

_ATEN = torch.ops.aten


def record(step: Step, inputs: Iterable[Tensor]) -> GraphModule:
    """Run a step once and keep its torch operations; the result is the same to the bit, gradients too.

    What depends on no input, such as wave numbers, is computed now and never again. Operations that return what they
    were given are left out.

    Args:
        step: Function of tensors, without branches on their values.
        inputs: Examples; the graph holds for their shapes, dtypes and devices alone.
    """
    with torch.inference_mode(False), torch.no_grad(), _one_fake_mode():
        graph = make_fx(step)(*_examples(inputs))
        _drop_idle_operations(graph)
        _precompute(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def with_derivatives(step: Step, inputs: Iterable[Tensor], num_directions: int) -> GraphModule:
    """Record a step with its derivatives along several directions, by forward differentiation.

    Args:
        step: Function of tensors, without branches on their values.
        inputs: Examples.
        num_directions: K.

    Returns:
        ``(first input, K directions of it, *other inputs, *K directions of each) -> (result, K derivatives of it)``.
    """
    inputs = _examples(inputs)
    with torch.inference_mode(False), torch.no_grad(), _one_fake_mode():
        # Derivatives along several directions at once exist for neither in-place operations nor grid_sampler.
        pure = make_fx(functionalize(step), decomposition_table=get_decompositions([_ATEN.grid_sampler_2d]))(*inputs)

    def along(values: Sequence[Tensor], directions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(pure, tuple(values), tuple(directions))

    def derived(velocity: Tensor, d_velocity: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        values = (velocity, *rest[: len(rest) // 2])
        directions = (d_velocity, *rest[len(rest) // 2 :])
        return torch.func.vmap(along, in_dims=(None, 0), out_dims=(None, 0))(values, directions)

    directions = [tensor.expand(num_directions, *tensor.shape) for tensor in inputs]
    graph = record(derived, (inputs[0], directions[0], *inputs[1:], *directions[1:]))
    _merge_equal_operations(graph)  # only here: in a graph that is differentiated it would change the order of sums
    return graph


def compiled(graph: GraphModule, inputs: Sequence[Tensor]) -> Step:
    """The graph as machine code, made by torch's inductor at the first call: that takes from ten seconds to minutes.

    Args:
        graph: What `record` returned.
        inputs: Examples.

    Raises:
        ValueError: If they are on the CPU and the machine has no C++ compiler.
    """
    if inputs[0].device.type == "cpu":
        command = os.environ.get("CXX", "g++")
        if shutil.which(command) is None:
            raise ValueError(
                f"compile: true needs a C++ compiler, and {command} was not found; install one, name it in the "
                "environment variable CXX, or set compile: false"
            )
    lean = with_lean_derivatives(with_real_numbers(graph, _examples(inputs)))
    return torch.compile(lean, fullgraph=True, dynamic=False)


def _one_fake_mode() -> AbstractContextManager[object]:
    """Shapes of results are noted in one mode of torch's; else each operation makes its own, which takes longer."""
    return tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True)))


def _examples(inputs: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in inputs]


def _drop_idle_operations(graph: GraphModule) -> None:
    """Use the input of an operation that returns it unchanged."""
    written = _written_to(graph)
    for node in graph.graph.nodes:
        copies_what_changes = node.target is _ATEN._to_copy.default and not written.isdisjoint((node, *node.args))
        if node.op == "call_function" and not copies_what_changes and _is_idle(node):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _merge_equal_operations(graph: GraphModule) -> None:
    """Compute what is computed from the same values in the same way once."""
    if _written_to(graph):
        return
    first: dict[object, Node] = {}
    for node in graph.graph.nodes:
        if node.op not in ("call_function", "get_attr"):
            continue
        key = (node.op, node.target, _hashable(node.args), _hashable(tuple(sorted(node.kwargs.items()))))
        if key in first:
            node.replace_all_uses_with(first[key])
            graph.graph.erase_node(node)
        else:
            first[key] = node
    graph.recompile()


def _hashable(value: object) -> object:
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_hashable, value))
    return type(value), value


def _is_idle(node: Node) -> bool:
    source = node.args[0] if node.args else None
    before = source.meta.get("val") if isinstance(source, Node) else None
    after = node.meta.get("val")
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return False
    if (before.shape, before.dtype, before.device) != (after.shape, after.dtype, after.device):
        return False
    if node.target in (_ATEN.view.default, _ATEN._unsafe_view.default, _ATEN.expand.default, _ATEN.alias.default):
        return True
    if node.target is _ATEN._to_copy.default:
        return not node.kwargs.keys() - {"dtype", "layout", "device"}
    if node.target in (_ATEN.permute.default,):
        return [axis % before.ndim for axis in node.args[1]] == list(range(before.ndim))
    if node.target in (_ATEN.slice.Tensor,):
        return len(node.args) < 5 or node.args[4] == 1
    if node.target in (_ATEN.mul.Tensor, _ATEN.div.Tensor):
        return not isinstance(node.args[1], Node) and node.args[1] == 1
    return False


def _precompute(graph: GraphModule) -> None:
    """Replace what depends on no input by its value."""
    values: dict[Node, object] = {}
    fixed = _written_to(graph)
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            values[node] = getattr(graph, str(node.target))
        elif node.op == "call_function" and node not in fixed and all(n in values for n in node.all_input_nodes):
            arguments, keywords = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*arguments, **keywords)
    for number, (node, value) in enumerate(values.items()):
        if not isinstance(value, Tensor) or all(user in values for user in node.users):
            continue
        name = f"precomputed_{number}"
        # A clone, since tensors made in inference mode cannot take part in a backward pass.
        graph.register_buffer(name, value.clone())
        with graph.graph.inserting_before(node):
            node.replace_all_uses_with(graph.graph.get_attr(name), propagate_meta=True)


def _written_to(graph: GraphModule) -> set[Node]:
    """Operations that write into a tensor, and all that this tensor comes from."""
    pending = [
        node
        for node in graph.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
    ]
    found: set[Node] = set()
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += node.args[:1] if isinstance(node.args[0] if node.args else None, Node) else []
    return found
