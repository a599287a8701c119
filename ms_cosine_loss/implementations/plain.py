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
"""The loss in MindSpore operators, for every device and both modes.

The cells carry a `bprop` of their own, linear in the gradient that comes in, so that differentiating it again is right
too. With it the gradient of an ignored row is 0 whatever the row holds, and PyNative gets right second derivatives,
which it does not get through its own reductions and reshapes. The cells live at module level because a graph cannot
create them.
"""
from typing import Optional, Union

import mindspore as ms
from mindspore import Tensor, mint, nn, ops

from ms_cosine_loss._rules import SIMILAR, constant, is_compiling, is_known, is_normal, wide
from ms_cosine_loss.implementations._losses import reduced_losses
from ms_cosine_loss.implementations._sums import sum_along, sum_along_unknown

# One instance each, because second derivatives in graph mode cannot pass the cache of the functional forms.
_zeros = ops.Zeros()
_ones = ops.Ones()
_tile = ops.Tile()
_mul_no_nan = ops.MulNoNan()

_FEW_ELEMENTS = 2 ** 18


class _RowProducts(nn.Cell):
    """The three sums over `axis`: x1·x2, x1·x1 and x2·x2, in at least float32; no gradient into ignored rows."""

    def construct(self, x1: Tensor, x2: Tensor, labels: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
        # Widened in here, not by the caller: mixed precision may narrow whatever enters a cell.
        x1 = ops.cast(x1, wide(x1.dtype))
        x2 = ops.cast(x2, wide(x2.dtype))
        # In PyNative every use of a reshaped tensor is a copy and some milliseconds of delay, which only a large tensor
        # is worth; a stack of one is neither, and of rank 3, whose sums are exact.
        is_worth_runs = axis == 1 and (is_compiling() or x1.size > _FEW_ELEMENTS)
        if x1.dtype == ms.float32 and x1.ndim == 2 and not is_worth_runs:
            x1, x2 = ops.stack((x1,), 2 * axis), ops.stack((x2,), 2 * axis)
            return mint.sum(x1 * x2, 1), mint.sum(x1 * x1, 1), mint.sum(x2 * x2, 1)
        return sum_along(x1 * x2, axis), sum_along(x1 * x1, axis), sum_along(x2 * x2, axis)

    def bprop(self, x1: Tensor, x2: Tensor, labels: Tensor, axis: int, out: tuple[Tensor, Tensor, Tensor],
              dout: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, int]:
        wide1 = ops.cast(x1, wide(x1.dtype))
        wide2 = ops.cast(x2, wide(x2.dtype))
        dproduct, dsquare1, dsquare2 = dout
        # Tiled by hand: an operator that broadcasts (N, 1) against (N, D) is several times slower on CPU.
        multiples = (1,) * axis + (x1.shape[axis],) + (1,) * (x1.ndim - axis - 1)
        keep = ops.equal(ops.abs(labels), SIMILAR)
        zeros = _zeros(labels.shape, wide1.dtype)
        dproduct = _tile(ops.select(keep, dproduct, zeros), multiples)
        dsquare1 = _tile(ops.select(keep, 2 * dsquare1, zeros), multiples)
        dsquare2 = _tile(ops.select(keep, 2 * dsquare2, zeros), multiples)
        # Unlike Mul, a second factor of 0 gives 0 even beside NaN.
        dx1 = _mul_no_nan(wide2, dproduct) + _mul_no_nan(wide1, dsquare1)
        dx2 = _mul_no_nan(wide1, dproduct) + _mul_no_nan(wide2, dsquare2)
        return ops.cast(dx1, x1.dtype), ops.cast(dx2, x2.dtype), _zeros(labels.shape, labels.dtype), 0


class _Expand(nn.Cell):
    """Repeats the axes of length 1 so that x has the given shape."""

    def construct(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        # Widened first, because there is no bfloat16 kernel for this in a graph on CPU.
        return ops.broadcast_to(ops.cast(x, wide(x.dtype)), shape)

    def bprop(self, x: Tensor, shape: tuple[int, ...], out: Tensor, dout: Tensor) -> tuple[Tensor, tuple[()]]:
        repeated: tuple[int, ...] = ()
        for axis in range(x.ndim):
            if x.shape[axis] != shape[axis]:
                repeated = repeated + (axis + 1,)
        # Between two axes more, because only sums of rank 3 that leave the last axis alone do not lose digits on CPU.
        dout = mint.sum(ops.reshape(dout, (1, *shape, 1)), repeated)
        return ops.cast(ops.reshape(dout, x.shape), x.dtype), ()


_row_products = _RowProducts()
_expand = _Expand()


def _broadcast(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Both logits in their common shape."""
    if x1.shape == x2.shape:
        return x1, x2
    shape: tuple[int, ...] = ()
    for length1, length2 in zip(x1.shape, x2.shape):
        shape = shape + (length1 if length2 == 1 else length2,)
    if x1.shape != shape:
        x1 = _expand(x1, shape)
    if x2.shape != shape:
        x2 = _expand(x2, shape)
    return x1, x2


def _row_products_of_unknown_shape(x1: Tensor, x2: Tensor, labels: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same three sums where tiling cannot be planned: ignored rows are cleared on the way in."""
    keep = ops.equal(ops.abs(labels), SIMILAR)
    x1 = ops.cast(x1, wide(x1.dtype))
    x2 = ops.cast(x2, wide(x2.dtype))
    zero = ops.cast(0, x1.dtype)
    x1 = ops.select(keep, x1, zero)
    x2 = ops.select(keep, x2, zero)
    return sum_along_unknown(x1 * x2, axis), sum_along_unknown(x1 * x1, axis), sum_along_unknown(x2 * x2, axis)


def _divisors(square1: Tensor, square2: Tensor, eps: float) -> tuple[Tensor, Tensor, Optional[Tensor]]:
    """Both squared norms with `eps` added, and where a row has no direction (None if `eps` settles that)."""
    if is_normal(eps, square1.dtype):
        eps = constant(eps, square1.dtype)
        return square1 + eps, square2 + eps, None
    directionless = ops.logical_or(square1 == 0, square2 == 0)
    ones = _ones(square1.shape, square1.dtype)
    return ops.select(directionless, ones, square1), ops.select(directionless, ones, square2), directionless


def cosines(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, axis: int, eps: float) -> Tensor:
    """The cosine of each pair, in the arithmetic's dtype; nothing is checked here.

    `labels` and the result have the common shape of the logits, with length 1 along `axis`. No gradient goes into a row
    whose label ignores it.
    """
    if is_known(logits_x1.shape, logits_x2.shape, labels.shape):
        # The sum of no elements would be read from stale memory.
        if logits_x1.shape[axis] == 0:
            return _zeros(labels.shape, wide(logits_x1.dtype))
        logits_x1, logits_x2 = _broadcast(logits_x1, logits_x2)
        product, square1, square2 = _row_products(logits_x1, logits_x2, labels, axis)
    else:
        product, square1, square2 = _row_products_of_unknown_shape(logits_x1, logits_x2, labels, axis)
    square1, square2, directionless = _divisors(square1, square2, eps)
    # The quotient of the roots makes the norm of two equal vectors exact, and no product of squares can overflow.
    cosine = product / (square2 * (ops.sqrt(square1) / ops.sqrt(square2)))
    if directionless is not None:
        # 0 without a gradient, but NaN where the other row holds NaN or infinity.
        cosine = ops.select(directionless, product * 0, cosine)
    return cosine


def loss(logits_x1: Tensor, logits_x2: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, axis: int,
         eps: float) -> Tensor:
    """The loss; nothing is checked here."""
    shape = labels.shape
    if isinstance(margin, Tensor):
        # Widened out here, because before the gradient is rounded to the margin's dtype it is summed.
        margin = ops.cast(margin, wide(logits_x1.dtype))
    # The comparison with a label has no bfloat16 kernel on CPU.
    if labels.dtype == ms.bfloat16:
        labels = ops.cast(labels, ms.float32)
    # A real copy in the shape of the cosines: in PyNative every use of a view would copy it again.
    labels = ops.expand_dims(labels, axis) * 1
    cosine = cosines(logits_x1, logits_x2, labels, axis, eps)
    return reduced_losses(cosine, labels, margin, reduction, shape, logits_x1.dtype)
