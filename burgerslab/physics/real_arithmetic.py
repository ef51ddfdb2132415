"""A graph of torch operations on complex numbers, rewritten for pairs of real ones, which inductor can fuse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map_only

_ATEN = torch.ops.aten
Factor = Tensor | float

_TO_BOTH_PARTS = {
    _ATEN.add.Tensor,
    _ATEN.sub.Tensor,
    _ATEN.neg.default,
    _ATEN.sum.dim_IntList,
    _ATEN.unsqueeze.default,
    _ATEN.squeeze.dim,
    _ATEN.permute.default,
    _ATEN.view.default,
    _ATEN.expand.default,
    _ATEN.select.int,
    _ATEN.slice.Tensor,
    _ATEN.stack.default,
    _ATEN.cat.default,
    _ATEN.alias.default,
}


def with_real_numbers(graph: GraphModule, inputs: Sequence[Tensor]) -> GraphModule:
    """The same function with every complex tensor as two real ones, but around Fourier transforms.

    Inductor leaves arithmetic of complex numbers to separate kernels. A graph with an operation on complex numbers
    that has no rule here is returned as it is.

    Args:
        graph: What `record` returns; real inputs and results.
        inputs: Examples.
    """
    if not all(_has_a_rule(node) for node in graph.graph.nodes):
        return graph
    with torch.inference_mode(False), torch.no_grad():
        return make_fx(_RealNumbers(graph).run)(*inputs)


def _has_a_rule(node: Node) -> bool:
    inputs = node.all_input_nodes
    if node.op != "call_function" or not any(_is_complex(n) for n in (node, *inputs)):
        return True
    if node.target is _ATEN._to_copy.default and not _is_complex(inputs[0]):
        return all(user.target is _ATEN.mul.Tensor for user in node.users)
    if node.target in (_ATEN.add.Tensor, _ATEN.sub.Tensor):
        return len(inputs) == 2 and all(_is_complex(n) for n in inputs)
    return node.target in _TO_BOTH_PARTS or node.target in _RULES


def _is_complex(node: Node) -> bool:
    value = node.meta.get("val")
    if node.op == "get_attr":
        value = getattr(node.graph.owning_module, str(node.target))
    return isinstance(value, Tensor) and value.is_complex()


@dataclass(frozen=True)
class _Pair:
    real: Tensor
    imaginary: Tensor

    def joined(self) -> Tensor:
        return torch.view_as_complex(torch.stack([self.real, self.imaginary], dim=-1))


def _split(value: Tensor) -> _Pair:
    parts = torch.view_as_real(value)
    return _Pair(parts[..., 0], parts[..., 1])


class _RealNumbers(Interpreter):
    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return _split(value) if isinstance(value, Tensor) and value.is_complex() else value

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        has_pairs = any(isinstance(leaf, _Pair) for leaf in tree_leaves((args, kwargs)))
        if target in _RULES and (has_pairs or target in _FROM_REAL):
            return _RULES[target](target, *args, **kwargs)
        if not has_pairs:
            return super().call_function(target, args, kwargs)
        real = target(*tree_map_only(_Pair, lambda pair: pair.real, args), **kwargs)
        return _Pair(real, target(*tree_map_only(_Pair, lambda pair: pair.imaginary, args), **kwargs))


def _product(target: Callable[..., Tensor], a: _Pair | Factor, b: _Pair | Factor) -> _Pair:
    if not isinstance(a, _Pair):
        a, b = b, a
    if not isinstance(b, _Pair):
        return _Pair(target(a.real, b), target(a.imaginary, b))
    return _Pair(a.real * b.real - a.imaginary * b.imaginary, a.real * b.imaginary + a.imaginary * b.real)


def _converted(target: Callable[..., Tensor], value: Tensor | _Pair, **kwargs: Any) -> Tensor | _Pair:
    dtype = kwargs.get("dtype", torch.float64)
    if isinstance(value, _Pair):
        return _Pair(value.real.to(dtype.to_real()), value.imaginary.to(dtype.to_real()))
    # A real factor stays real: products with it need no imaginary part.
    return value.to(dtype.to_real()) if dtype.is_complex else target(value, **kwargs)


def _to_spectrum(target: Callable[..., Tensor], *args: Any) -> _Pair:
    return _split(target(*args))


def _from_spectrum(target: Callable[..., Tensor], spectrum: _Pair, *args: Any) -> Tensor:
    return target(spectrum.joined(), *args)


_RULES: dict[Any, Callable[..., Any]] = {
    _ATEN.mul.Tensor: _product,
    _ATEN._to_copy.default: _converted,
    _ATEN._fft_r2c.default: _to_spectrum,
    _ATEN._fft_c2r.default: _from_spectrum,
}
_FROM_REAL = {_ATEN._fft_r2c.default, _ATEN._to_copy.default}
