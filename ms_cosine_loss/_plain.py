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
"""The loss of each pair in MindSpore operators: every device, every mode, every order of derivative.

Three cells carry a `bprop` of their own, each linear in the gradient that comes in, so that differentiating it again is
right too. What they buy: the gradient of a row that is ignored is 0 whatever the row holds; rounding never closes the
gradient of a pair that is nearly parallel; and PyNative gets right second derivatives, which it does not get through
its own reductions and reshapes. They are called from module level because a cell must not be created inside a graph.
"""
import mindspore as ms
from mindspore import mint, nn, ops

from ms_cosine_loss._rules import DISSIMILAR, SIMILAR, constant, is_known, wide

# One instance each: the functional forms look theirs up in a cache that second derivatives cannot pass in graph mode.
_zeros = ops.Zeros()
_ones = ops.Ones()
_tile = ops.Tile()


class _RowProducts(nn.Cell):
    """The three sums over `axis`: x1·x2, x1·x1 and x2·x2, in at least float32; no gradient into ignored rows."""

    def construct(self, x1, x2, labels, axis):
        # Widened in here, not by the caller: mixed precision may narrow whatever enters a cell.
        x1 = ops.cast(x1, wide(x1.dtype))
        x2 = ops.cast(x2, wide(x2.dtype))
        return mint.sum(x1 * x2, axis), mint.sum(x1 * x1, axis), mint.sum(x2 * x2, axis)

    def bprop(self, x1, x2, labels, axis, out, dout):
        wide1 = ops.cast(x1, wide(x1.dtype))
        wide2 = ops.cast(x2, wide(x2.dtype))
        dproduct, dsquare1, dsquare2 = dout
        # Tiled by hand: an operator that broadcasts (N, 1) against (N, D) is several times slower on CPU.
        multiples = (1,) * axis + (x1.shape[axis],) + (1,) * (x1.ndim - axis - 1)
        keep = _tile(ops.expand_dims(ops.equal(ops.abs(labels), SIMILAR), axis), multiples)
        zeros = _tile(ops.expand_dims(_zeros(labels.shape, wide1.dtype), axis), multiples)
        dproduct = _tile(ops.expand_dims(dproduct, axis), multiples)
        dsquare1 = _tile(ops.expand_dims(2 * dsquare1, axis), multiples)
        dsquare2 = _tile(ops.expand_dims(2 * dsquare2, axis), multiples)
        # Selected at the end, because a factor of 0 does not remove a NaN.
        dx1 = ops.select(keep, dproduct * wide2 + dsquare1 * wide1, zeros)
        dx2 = ops.select(keep, dproduct * wide1 + dsquare2 * wide2, zeros)
        return ops.cast(dx1, x1.dtype), ops.cast(dx2, x2.dtype), _zeros(labels.shape, labels.dtype), 0


class _PairLosses(nn.Cell):
    """The loss of each pair from its cosine and its hinge, cosine - margin; NaN stays NaN."""

    def construct(self, cosine, hinge, labels):
        zeros = _zeros(labels.shape, cosine.dtype)
        losses = ops.select(labels == SIMILAR, 1.0 - cosine, ops.select(labels == DISSIMILAR, hinge, zeros))
        return ops.select(losses < 0, zeros, losses)

    def bprop(self, cosine, hinge, labels, out, dout):
        zeros = _zeros(labels.shape, cosine.dtype)
        # A cosine that rounding put above 1 has its loss clipped to 0, yet it is no hinge: its gradient stays.
        dcosine = ops.select(labels == SIMILAR, -dout, zeros)
        dhinge = ops.select(ops.logical_and(labels == DISSIMILAR, hinge >= 0), dout, zeros)
        return dcosine, dhinge, _zeros(labels.shape, labels.dtype)


class _Expand(nn.Cell):
    """Repeats the axes of length 1 so that x has the given shape."""

    def construct(self, x, shape):
        return ops.broadcast_to(x, shape)

    def bprop(self, x, shape, out, dout):
        repeated = ()
        for axis in range(x.ndim):
            if x.shape[axis] != shape[axis]:
                repeated = repeated + (axis,)
        # Half gradients are summed wide and rounded once.
        return ops.cast(mint.sum(ops.cast(dout, wide(dout.dtype)), repeated, True), x.dtype), shape


_row_products = _RowProducts()
_pair_losses = _PairLosses()
_expand = _Expand()


def _broadcast(x1, x2, axis):
    """Both logits in their common shape."""
    if x1.shape == x2.shape:
        return x1, x2
    shape = ()
    for length1, length2 in zip(x1.shape, x2.shape):
        shape = shape + (length1 if length2 == 1 else length2,)
    if x1.shape != shape:
        x1 = _expand(x1, shape)
    if x2.shape != shape:
        x2 = _expand(x2, shape)
    return x1, x2


def _row_products_of_unknown_shape(x1, x2, labels, axis):
    """The same three sums where tiling cannot be planned: ignored rows are cleared on the way in."""
    keep = ops.expand_dims(ops.equal(ops.abs(labels), SIMILAR), axis)
    x1 = ops.cast(x1, wide(x1.dtype))
    x2 = ops.cast(x2, wide(x2.dtype))
    zero = ops.cast(0, x1.dtype)
    x1 = ops.select(keep, x1, zero)
    x2 = ops.select(keep, x2, zero)
    return mint.sum(x1 * x2, axis), mint.sum(x1 * x1, axis), mint.sum(x2 * x2, axis)


def _divisors(square1, square2, eps):
    """Both squared norms with `eps` added, and where a row has no direction (None if `eps` settles that)."""
    if eps > 0:
        eps = constant(eps, square1.dtype)
        return square1 + eps, square2 + eps, None
    directionless = ops.logical_or(square1 == 0, square2 == 0)
    ones = _ones(square1.shape, square1.dtype)
    return ops.select(directionless, ones, square1), ops.select(directionless, ones, square2), directionless


def pair_losses(logits_x1, logits_x2, labels, margin, axis, eps):
    """The loss of each pair, in the shape of `labels` and in the arithmetic's dtype; nothing is checked here."""
    # The comparison with a label has no bfloat16 kernel on CPU.
    if labels.dtype == ms.bfloat16:
        labels = ops.cast(labels, ms.float32)
    if is_known(logits_x1.shape, logits_x2.shape, labels.shape):
        logits_x1, logits_x2 = _broadcast(logits_x1, logits_x2, axis)
        product, square1, square2 = _row_products(logits_x1, logits_x2, labels, axis)
    else:
        product, square1, square2 = _row_products_of_unknown_shape(logits_x1, logits_x2, labels, axis)
    square1, square2, directionless = _divisors(square1, square2, eps)
    # The quotient of the roots makes the norm of two equal vectors exact, and no product of squares can overflow.
    cosine = product / (square2 * (ops.sqrt(square1) / ops.sqrt(square2)))
    if directionless is not None:
        cosine = ops.select(directionless, _zeros(cosine.shape, cosine.dtype), cosine)
    return _pair_losses(cosine, cosine - constant(margin, cosine.dtype), labels)
