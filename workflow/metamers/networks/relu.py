"""The ReLU a stage ends in: finding it, and passing gradients straight through it.

A ReLU at the matched stage would leave every silent unit without a gradient, so the
study gave that one ReLU, and no other, an identity gradient (Feather et al. 2023,
Methods). In the released code each architecture carries a flag for it; here it is
found in any network from the functions that the network calls.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_RELU = {functional.relu, torch.relu, torch.Tensor.relu}
_RELU_IN_PLACE = {torch.relu_, torch.Tensor.relu_}
_CLAMP = {torch.clamp, torch.clip, torch.Tensor.clamp, torch.Tensor.clip}
_CLAMP_IN_PLACE = {
    torch.clamp_,
    torch.clip_,
    torch.Tensor.clamp_,
    torch.Tensor.clip_,
}
_CLAMP_MIN = {torch.clamp_min, torch.Tensor.clamp_min}
_CLAMP_MIN_IN_PLACE = {torch.clamp_min_, torch.Tensor.clamp_min_}
_CLAMPS = _CLAMP | _CLAMP_IN_PLACE | _CLAMP_MIN | _CLAMP_MIN_IN_PLACE
_THRESHOLD = {functional.threshold, torch.threshold}
_THRESHOLD_IN_PLACE = {torch.threshold_}
_IN_PLACE = _RELU_IN_PLACE | _CLAMP_IN_PLACE | _CLAMP_MIN_IN_PLACE | _THRESHOLD_IN_PLACE
_RECTIFIERS = _RELU | _RELU_IN_PLACE | _CLAMPS | _THRESHOLD | _THRESHOLD_IN_PLACE


class ReluRecorder(TorchFunctionMode):
    """While active, remembers the input and output of the latest ReLU call.

    ReLU modules, ``functional.relu``, ``torch.relu``, the tensor methods, and a clamp
    or threshold that amounts to a ReLU are all seen, whichever module calls them. The
    mode holds for the present thread only.

    Attributes
    ----------
    before
        Input z of the latest ReLU; None before the first.
    after
        Its output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: Tensor | None = None
        self.after: Tensor | None = None

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func`, keeping z where it is a ReLU."""
        kwargs = kwargs or {}
        if func not in _RECTIFIERS or not _is_relu(func, args, kwargs):
            return func(*args, **kwargs)
        before = args[0] if args else kwargs["input"]
        if _overwrites(func, args, kwargs):
            # The copy keeps z in the graph; the call then does to the original what
            # the network meant it to.
            before = before.clone()
        after = func(*args, **kwargs)
        self.before, self.after = before, after
        return after

    def ends_in_relu(self, output: Tensor) -> bool:
        """Say whether the latest ReLU is what an output comes from, unchanged.

        Parameters
        ----------
        output
            Of the module that has just ended. A reshape (flatten, or a dropout in
            evaluation) may lie between the ReLU and it.

        Returns
        -------
        bool
            True only if max(0, z) equals `output` value for value.
        """
        if self.before is None or self.after is None:
            return False
        if self.before.numel() != output.numel() or output.numel() == 0:
            return False
        # Function modes are off here: what is computed below is not the network's.
        with torch._C.DisableTorchFunction(), torch.no_grad():
            rectified = self.before.clamp_min(0).reshape(output.shape)
            if not torch.equal(rectified, output):
                return False
            # A silent stage equals a silent ReLU whatever lies between them.
            return bool(rectified.any()) or _same_memory(self.after, output)


class _StraightThrough(torch.autograd.Function):
    """max(0, z), computed already, forward; the identity to z backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, rectified: Tensor) -> Tensor:
        return rectified.view_as(rectified)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing: the gradient does not depend on z."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


def straight_through_relu(z: Tensor, rectified: Tensor | None = None) -> Tensor:
    """Return max(0, z), whose gradient with respect to z is taken to be 1 everywhere.

    Parameters
    ----------
    z
        Of any shape.
    rectified
        max(0, z) where it is known already, as at a stage that ends in a ReLU: it is
        not computed again.

    Returns
    -------
    Tensor
        Of the same shape, at least 0.
    """
    known = z.detach().clamp_min(0) if rectified is None else rectified.detach()
    return _StraightThrough.apply(z, known.reshape(z.shape))


def _is_relu(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if func in _CLAMPS:
        given = _named(("input", "min", "max"), args, kwargs)
        return _is_zero(given.get("min")) and given.get("max") is None
    if func in _THRESHOLD or func in _THRESHOLD_IN_PLACE:
        given = _named(("input", "threshold", "value"), args, kwargs)
        return _is_zero(given.get("threshold")) and _is_zero(given.get("value"))
    return True


def _overwrites(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if func in _IN_PLACE:
        return True
    if func is functional.relu:
        return bool(_named(("input", "inplace"), args, kwargs).get("inplace"))
    if func is functional.threshold:
        names = ("input", "threshold", "value", "inplace")
        return bool(_named(names, args, kwargs).get("inplace"))
    return False


def _named(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and value == 0


def _same_memory(first: Tensor, second: Tensor) -> bool:
    return first.data_ptr() == second.data_ptr()
