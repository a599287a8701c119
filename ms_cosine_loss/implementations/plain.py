# Copyright 2026 The ms_cosine_loss authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
# http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The loss in MindSpore operators, for every device, both modes, known and unknown shapes.

Two cells with closed-form gradients: `_RowSums`, then `_Losses`. Autodiff writes 16 results of the logits' size where
these write 11, uses operators that Ascend compiles at run time (AddN, SqrtGrad), and lets NaN out of rows that are
ignored. Each `bprop` is the true derivative of its cell, in differentiable operators, so that second derivatives are
right too. The cells live at module level because a graph cannot create them.
"""
import functools
from typing import Any, Optional, Union

import mindspore as ms
from mindspore import Tensor, context, mint, nn, ops
from mindspore.ops import constexpr

from ms_cosine_loss._graphs import is_known

# One instance each, because second derivatives in graph mode cannot pass the cache of the functional forms.
_zeros = ops.Zeros()
_tile = ops.Tile()
_mul_no_nan = ops.MulNoNan()

# The most axes that Tile, BroadcastTo and Maximum take on CPU.
_MAX_RANK = 8

# Before 2.8 Select is wrong under vmap on CPU where an operand has no axes.
_SELECTS_SCALARS = tuple(map(int, ms.__version__.split('.')[:2])) >= (2, 8)


@constexpr
def _compute_dtype(dtype: Any) -> Any:
    """The dtype of the arithmetic: the square of the largest float16 needs float32."""
    return ms.float64 if dtype == ms.float64 else ms.float32


@functools.lru_cache(maxsize=1024)
def _tensor(value: float, dtype: Any) -> Tensor:
    return Tensor(value, dtype)


@constexpr
def _as_scalar(value: float, dtype: Any) -> Tensor:
    """A tensor, because beside float64 MindSpore rounds a Python number to float32, and a comparison with one does not
    fuse on Ascend. Kept, so that PyNative copies it to the device once.
    """
    return _tensor(value, dtype)


@constexpr
def _flushed(eps: float, dtype: Any) -> float:
    """`eps`, or 0 where it is no normal number of `dtype`, because threads that flush such numbers take it for 0."""
    return eps if eps >= (2.0 ** -1022 if dtype == ms.float64 else 2.0 ** -126) else 0.0


@constexpr(reuse_result=False)
def _is_on(device: str) -> bool:
    return context.get_context('device_target') == device


@constexpr(reuse_result=False)
def _check_dtype(dtype: Any) -> None:
    # A graph casts there; a call by itself would end in MindSpore's own words, after it had returned.
    if (dtype == ms.bfloat16 and context.get_context('device_target') == 'GPU'
            and context.get_context('mode') == ms.PYNATIVE_MODE):
        raise TypeError("For 'CosineEmbeddingLoss', bfloat16 needs graph mode on GPU, because MindSpore has no Cast of "
                        'bfloat16 in PyNative mode there.')


@constexpr(check=False)
def _has_rank(*shapes: Optional[tuple[Optional[int], ...]]) -> bool:
    """Whether the number of axes of each is known."""
    return all(shape is not None and -2 not in shape for shape in shapes)


@constexpr(check=False)
def _is_repeated(shape: Optional[tuple[Optional[int], ...]], other: Optional[tuple[Optional[int], ...]]) -> bool:
    """Whether `shape` is, or may turn out to be, repeated to reach `other`. Those of no known rank are equal."""
    return (shape is not None and other is not None and -2 not in (*shape, *other)
            and any(length in (None, -1, 1) and other[axis] != 1 for axis, length in enumerate(shape)))


@constexpr
def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """`shape` without one of its axes."""
    return shape[:axis] + shape[axis + 1:]


class _RowSums(nn.Cell):
    """For each pair, over `axis`: the sum of x1·x2, and those of x1² and x2² plus `eps`."""

    def construct(self, x1: Tensor, x2: Tensor, labels: Tensor, axis: int, eps: float
                  ) -> tuple[Tensor, Tensor, Tensor]:
        # Widened in here too, because mixed precision may narrow whatever enters a cell. By `ops.cast`, or where none
        # is needed, jit from bytecode would hang.
        if x1.dtype != _compute_dtype(x1.dtype):
            x1, x2 = x1.astype(_compute_dtype(x1.dtype)), x2.astype(_compute_dtype(x2.dtype))
        product = mint.sum(x1 * x2, axis, True)
        square1, square2 = mint.sum(x1 * x1, axis, True), mint.sum(x2 * x2, axis, True)
        is_repeated1, is_repeated2 = _is_repeated(x1.shape, x2.shape), _is_repeated(x2.shape, x1.shape)
        added = _as_scalar(eps, x1.dtype)
        if is_repeated1 or is_repeated2:
            # One for each pair, so that the squares become so too. BroadcastTo ends at rank 8 on CPU.
            added = added + _zeros(product.shape, x1.dtype)
        if is_repeated1 or eps > 0:
            square1 = square1 + added
        if is_repeated2 or eps > 0:
            square2 = square2 + added
        return product, square1, square2

    def bprop(self, x1: Tensor, x2: Tensor, labels: Tensor, axis: int, eps: float,
              out: tuple[Tensor, Tensor, Tensor], dout: tuple[Tensor, Tensor, Tensor]
              ) -> tuple[Tensor, Tensor, Tensor, int, float]:
        wide1, wide2 = x1.astype(_compute_dtype(x1.dtype)), x2.astype(_compute_dtype(x2.dtype))
        counts = ops.equal(ops.abs(labels), _as_scalar(1, labels.dtype))
        zero = _as_scalar(0, wide1.dtype)
        if _is_on('CPU') and not _SELECTS_SCALARS:
            zero = ops.cast(ops.logical_and(counts, ops.logical_not(counts)), wide1.dtype)
        # Before the products: differentiated once more, 0 times the NaN of an ignored row would be NaN.
        dproduct = ops.select(counts, dout[0], zero)
        dsquare1, dsquare2 = ops.select(counts, 2 * dout[1], zero), ops.select(counts, 2 * dout[2], zero)
        if _is_on('CPU'):
            # There an operator that broadcasts rows takes five times as long, and so does Select: 0 times NaN is 0 too.
            if _has_rank(x1.shape, x2.shape) and x1.ndim <= _MAX_RANK:
                repeats = (1,) * axis + (x1.shape[axis],) + (1,) * (x1.ndim - axis - 1)
                dproduct = _tile(dproduct, repeats)
                dsquare1, dsquare2 = _tile(dsquare1, repeats), _tile(dsquare2, repeats)
            dx1 = _mul_no_nan(wide2, dproduct) + _mul_no_nan(wide1, dsquare1)
            dx2 = _mul_no_nan(wide1, dproduct) + _mul_no_nan(wide2, dsquare2)
        else:
            dx1 = ops.select(counts, wide2 * dproduct + wide1 * dsquare1, zero)
            dx2 = ops.select(counts, wide1 * dproduct + wide2 * dsquare2, zero)
        if _is_repeated(x1.shape, x2.shape) or _is_repeated(x2.shape, x1.shape):
            # Where a vector is repeated its gradients are summed, along each axis in groups, of which there are as many
            # as it is long there: it need not be known how many. In a function of its
            # own the loop would stop second derivatives in graph mode.
            grouped1 = grouped2 = reduced = ()  # type: tuple[int, ...]
            for i in range(x1.ndim):
                grouped1 += (dx1.shape[i] - x1.shape[i] + 1, x1.shape[i])
                grouped2 += (dx2.shape[i] - x2.shape[i] + 1, x2.shape[i])
                reduced += (2 * i,)
            # With the axes kept, without which PyNative gets second derivatives wrong.
            if _is_repeated(x1.shape, x2.shape):
                dx1 = ops.reshape(mint.sum(ops.reshape(dx1, grouped1), reduced, True), x1.shape)
            if _is_repeated(x2.shape, x1.shape):
                dx2 = ops.reshape(mint.sum(ops.reshape(dx2, grouped2), reduced, True), x2.shape)
        return ops.cast(dx1, x1.dtype), ops.cast(dx2, x2.dtype), labels, 0, 0.0


# Without a branch, because second derivatives in graph mode cannot pass one in a function that a `bprop` calls.
def _cosine(product: Tensor, square1: Tensor, square2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The cosine; the product of the norms and the squared norms by which derivatives divide."""
    # The quotient of the roots is exact for equal norms, and no product of squares can overflow.
    norm = square2 * (ops.sqrt(square1) / ops.sqrt(square2))
    return product / norm, norm, square1, square2


def _cosine_without_eps(product: Tensor, square1: Tensor, square2: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same where a row of zeros has nothing in its norm: 0 and no gradient, but NaN beside a row that holds NaN."""
    infinity = _as_scalar(float('inf'), product.dtype)
    is_zero = ops.equal(ops.minimum(square1, square2), _as_scalar(0, product.dtype))
    norm = ops.select(is_zero, infinity, square2 * (ops.sqrt(square1) / ops.sqrt(square2)))
    return (product / norm, norm, ops.select(is_zero, infinity, square1), ops.select(is_zero, infinity, square2))


class _Losses(nn.Cell):
    """The losses of the pairs under `reduction`. NaN stays NaN.

    Where rounding puts a cosine above 1 the loss is 0, and its derivatives are those of the cosine.
    """

    def construct(self, product: Tensor, square1: Tensor, square2: Tensor, labels: Tensor,
                  margin: Union[float, Tensor], reduction: str, axis: int, eps: float) -> Tensor:
        dtype = product.dtype
        if eps > 0:
            cosine, _, _, _ = _cosine(product, square1, square2)
        else:
            cosine, _, _, _ = _cosine_without_eps(product, square1, square2)
        threshold = ops.cast(margin, dtype) if isinstance(margin, Tensor) else _as_scalar(margin, dtype)
        is_similar = ops.equal(labels, _as_scalar(1, labels.dtype))
        is_dissimilar = ops.equal(labels, _as_scalar(-1, labels.dtype))
        zero = _as_scalar(0, dtype)
        if _is_on('CPU') and not _SELECTS_SCALARS:
            zero = ops.cast(ops.logical_and(is_similar, is_dissimilar), dtype)
        hinge = ops.select(is_dissimilar, cosine - threshold, zero)
        # Zero first: CPU and GPU return the second where they cannot compare, which is where it is NaN.
        losses = ops.select(is_similar, _as_scalar(1, dtype) - cosine, hinge)
        if _is_on('CPU') and is_known(labels.shape) and labels.ndim > _MAX_RANK:
            losses = ops.select(ops.less(losses, zero), zero, losses)
        else:
            losses = ops.maximum(zero, losses)
        if reduction == 'none':
            # Squeeze ends at 32 axes.
            return ops.reshape(losses, _without(labels.shape, axis)) if is_known(labels.shape) else ops.squeeze(
                losses, axis)
        if _is_on('CPU'):
            if not is_known(labels.shape):
                # There the sum of nothing would be read from stale memory.
                losses = ops.concat((ops.reshape(losses, (1, -1, 1)), _zeros((1, 1, 1), dtype)), 1)
            else:
                # By its shape the sum becomes exact. A reshape would crash a step that `jit` compiles from bytecode.
                losses = ops.expand_dims(ops.expand_dims(losses, 0), -1)
        if reduction == 'sum':
            return mint.sum(losses)
        if not _is_on('CPU'):
            return mint.mean(losses)
        # A graph takes a Python number above 65504 for float64.
        return mint.sum(losses) / (_as_scalar(labels.size, dtype) if is_known(labels.shape) else labels.size)

    def bprop(self, product: Tensor, square1: Tensor, square2: Tensor, labels: Tensor,
              margin: Union[float, Tensor], reduction: str, axis: int, eps: float, out: Tensor, dout: Tensor
              ) -> tuple[Tensor, Tensor, Tensor, Tensor, Union[float, Tensor], int, int, float]:
        dtype = product.dtype
        if eps > 0:
            cosine, norm, square1, square2 = _cosine(product, square1, square2)
        else:
            cosine, norm, square1, square2 = _cosine_without_eps(product, square1, square2)
        if reduction == 'none':
            dout = ops.expand_dims(dout, axis)
        if reduction == 'mean':
            if is_known(labels.shape):
                dout = dout / _as_scalar(labels.size, dtype)
            elif _has_rank(labels.shape):
                # The size would be fetched from the device.
                size = 1
                for length in labels.shape:
                    size *= length
                dout = dout / size
            else:
                dout = dout / labels.size
        if isinstance(margin, Tensor):
            threshold = ops.cast(margin, dtype)
        else:
            # At -1 the hinge is never closed, though rounding may put a cosine below.
            threshold = _as_scalar(margin if margin > -1 else -2, dtype)
        is_similar = ops.equal(labels, _as_scalar(1, labels.dtype))
        is_dissimilar = ops.equal(labels, _as_scalar(-1, labels.dtype))
        zero = _as_scalar(0, dtype)
        if _is_on('CPU') and not _SELECTS_SCALARS:
            zero = ops.cast(ops.logical_and(is_similar, is_dissimilar), dtype)
            dout = dout + zero
        is_open = ops.greater_equal(cosine, threshold)
        dhinge = ops.select(is_dissimilar, ops.select(is_open, dout, zero), zero)
        # What a row that counts for nothing holds may be NaN from here on; `_RowSums` ends it.
        dproduct = ops.select(is_similar, -dout, dhinge) / norm
        common = dproduct * product * _as_scalar(-0.5, dtype)
        dmargin = 0.0
        if isinstance(margin, Tensor):
            dmargin = ops.cast(-mint.sum(dhinge), margin.dtype)
        return dproduct, common / square1, common / square2, labels, dmargin, 0, 0, 0.0


_row_sums = _RowSums()
_losses = _Losses()


def _empty(shape: tuple[int, ...], reduction: str, dtype: Any) -> Tensor:
    """The result of an empty batch, which on CPU MindSpore's own sums would read from stale memory."""
    if reduction == 'none':
        # Cast, because before 2.8 there are no zeros of bfloat16 in PyNative on CPU.
        return ops.cast(_zeros(shape, _compute_dtype(dtype)), dtype)
    return Tensor(0.0 if reduction == 'sum' else float('nan'), dtype)


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss; nothing is checked here. `margin` may be a 0-d tensor, and then has a gradient."""
    dtype = logits_x1.dtype
    _check_dtype(dtype)
    if is_known(labels.shape) and labels.size == 0:
        return _empty(labels.shape, reduction, dtype)
    # CPU and GPU do not compare bfloat16.
    if labels.dtype == ms.bfloat16:
        labels = ops.cast(labels, ms.float32)
    # Stopped last: otherwise vmap of vmap fails.
    labels = ops.stop_gradient(ops.expand_dims(labels, axis))
    if is_known(logits_x1.shape, logits_x2.shape) and logits_x1.shape[axis] == 0:
        # On CPU the sum of no elements would be read from stale memory.
        logits_x1, logits_x2 = _zeros(labels.shape, _compute_dtype(dtype)), _zeros(labels.shape, _compute_dtype(dtype))
    elif dtype != _compute_dtype(dtype):
        logits_x1, logits_x2 = logits_x1.astype(_compute_dtype(dtype)), logits_x2.astype(_compute_dtype(dtype))
    if not _has_rank(logits_x1.shape, logits_x2.shape):
        # MindSpore then knows how to sum the gradients; without a rank nobody else can tell.
        shape = (ops.stop_gradient(logits_x1) * ops.stop_gradient(logits_x2)).shape
        logits_x1, logits_x2 = ops.broadcast_to(logits_x1, shape), ops.broadcast_to(logits_x2, shape)
    if isinstance(margin, Tensor):
        margin = ops.cast(margin, _compute_dtype(dtype))
    eps = _flushed(eps, _compute_dtype(dtype))
    product, square1, square2 = _row_sums(logits_x1, logits_x2, labels, axis, eps)
    return ops.cast(_losses(product, square1, square2, labels, margin, reduction, axis, eps), dtype)
