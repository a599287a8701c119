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
"""What every behavioural test needs: exact tensors of each dtype, and values and gradients back as float64 arrays."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, mint, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss, get_implementation
from tests import truth

DTYPES = (ms.float16, ms.bfloat16, ms.float32, ms.float64)
HALVES = (ms.float16, ms.bfloat16)
WIDE = (ms.float32, ms.float64)
RELEASE = tuple(int(part) for part in ms.__version__.split('.')[:3])
REDUCTIONS = ('none', 'sum', 'mean')

DTYPES_AND_EPS = ((ms.float16, 1e-12), (ms.bfloat16, 0), (ms.float32, 0), (ms.float32, 1e-12), (ms.float64, 0))
"""Every dtype, and both with and without eps, for what need not be asked of each pair of them."""

UNIT = {ms.float16: 2.0 ** -10, ms.bfloat16: 2.0 ** -7, ms.float32: 2.0 ** -23, ms.float64: 2.0 ** -52}
"""One unit in the last place at 1."""

_SMALLEST_NORMAL = {ms.float16: 2.0 ** -14, ms.bfloat16: 2.0 ** -126, ms.float32: 2.0 ** -126, ms.float64: 2.0 ** -1022}


def arithmetic(dtype):
    """The dtype that the loss of logits in `dtype` is computed in, at least."""
    return ms.float64 if dtype == ms.float64 else ms.float32


def ulp(values, dtype):
    """One unit in the last place of `dtype` at each of `values`."""
    size = np.maximum(np.abs(np.asarray(values, np.float64)), _SMALLEST_NORMAL[dtype])
    return 2.0 ** np.floor(np.log2(size)) * UNIT[dtype]


def rounded(values, dtype):
    """`values` rounded to the nearest numbers of `dtype`, as a float64 array."""
    values = np.asarray(values, np.float64)
    if dtype == ms.float64:
        return values
    if dtype == ms.float16:
        return values.astype(np.float16).astype(np.float64)
    single = values.astype(np.float32)
    if dtype == ms.bfloat16:
        # The upper half of the bits, to nearest even; a NaN must not be carried over into an infinity.
        bits = np.atleast_1d(single).view(np.uint32)
        upper = ((bits + np.uint32(0x7fff) + ((bits >> 16) & 1)) >> 16) << 16
        upper = np.where(np.isnan(np.atleast_1d(single)), bits, upper.astype(np.uint32))
        single = upper.view(np.float32).reshape(single.shape)
    return single.astype(np.float64)


def array(tensor):
    """A tensor of any dtype as a float64 array."""
    if tensor.dtype == ms.bfloat16:
        tensor = tensor.astype(ms.float32)
    return tensor.asnumpy().astype(np.float64)


def tensor(values, dtype):
    """A tensor that holds exactly `values`, which must be numbers of `dtype`."""
    values = np.asarray(values)
    if dtype == ms.bfloat16:
        result = Tensor(values.astype(np.float32)).astype(ms.bfloat16)
    else:
        with np.errstate(invalid='ignore'):
            result = Tensor(values.astype(str(dtype).lower()))
    assert result.dtype == dtype
    assert result.shape == values.shape
    # Otherwise the reference would judge other numbers than the loss was given.
    np.testing.assert_array_equal(array(result), values.astype(np.float64))
    return result


def normal(seed, shape, dtype=ms.float64):
    """Normally distributed numbers of `dtype`."""
    return rounded(np.random.default_rng(seed).normal(size=shape), dtype)


def signs(seed, shape):
    """Labels 1 and -1, both of them wherever there is room."""
    labels = np.where(np.arange(np.prod(shape, dtype=int)) % 2, -1, 1)
    return np.random.default_rng(seed).permutation(labels).reshape(shape)


def labels_shape(shape1, shape2, axis):
    """The shape of the labels for logits of these shapes."""
    shape = list(np.broadcast_shapes(shape1, shape2))
    del shape[0 if len(shape) == 1 else axis]
    return tuple(shape)


def norms(rows):
    """The length of each row, or of the one vector."""
    return np.linalg.norm(np.atleast_2d(rows), axis=1)


def pair_losses(x1, x2, labels, axis=1, **settings):
    """The true losses of logits that broadcast, `axis` being the Cell's."""
    shape = np.broadcast_shapes(np.shape(x1), np.shape(x2))
    return truth.pair_losses(np.broadcast_to(x1, shape), np.broadcast_to(x2, shape), labels,
                             axis=0 if len(shape) == 1 else axis, **settings)


def pair_gradients(x1, x2, labels, upstream=1.0, axis=1, **settings):
    """The true gradients in the shapes of the logits: each summed over the axes along which it was repeated."""
    shape = np.broadcast_shapes(np.shape(x1), np.shape(x2))
    found = truth.gradients(np.broadcast_to(x1, shape), np.broadcast_to(x2, shape), labels,
                            np.broadcast_to(upstream, np.shape(labels)), axis=0 if len(shape) == 1 else axis,
                            **settings)
    return tuple(gradient.sum(axis=tuple(i for i, length in enumerate(x.shape) if length != shape[i]), keepdims=True)
                 for gradient, x in zip(found, (x1, x2)))


class Weighted(nn.Cell):
    """A loss times its upstream weight."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, logits_x1, logits_x2, labels, upstream):
        return self.loss(logits_x1, logits_x2, labels) * upstream


def value(x1, x2, labels, dtype=ms.float32, labels_dtype=ms.int32, **settings):
    """The loss of the Cell with `settings`, in the current mode."""
    result = CosineEmbeddingLoss(**settings)(tensor(x1, dtype), tensor(x2, dtype), tensor(labels, labels_dtype))
    assert result.dtype == dtype
    return array(result)


def value_and_gradients(x1, x2, labels, dtype=ms.float32, upstream=1.0, labels_dtype=ms.int32, **settings):
    """The loss, and the gradients of sum(upstream * loss) by both logits, in the current mode."""
    loss = CosineEmbeddingLoss(**settings)

    def weighted(first, second, targets, weights):
        losses = loss(first, second, targets)
        # MindSpore differentiates the sum of a result that is no scalar. Widened, because before 2.9 it has no
        # product of bfloat16 on CPU.
        return ops.cast(losses, arithmetic(dtype)) * weights, losses

    differentiated = ms.value_and_grad(weighted, (0, 1), has_aux=True)
    (_, losses), found = differentiated(tensor(x1, dtype), tensor(x2, dtype), tensor(labels, labels_dtype),
                                        tensor(upstream, arithmetic(dtype)))
    assert losses.dtype == dtype
    for gradient, logits in zip(found, (x1, x2)):
        assert gradient.dtype == dtype
        assert gradient.shape == np.shape(logits)
    return array(losses), array(found[0]), array(found[1])


def gradients(x1, x2, labels, dtype=ms.float32, upstream=1.0, labels_dtype=ms.int32, **settings):
    """The gradients of sum(upstream * loss) by both logits, in the current mode."""
    return value_and_gradients(x1, x2, labels, dtype, upstream, labels_dtype, **settings)[1:]


class ByHand(nn.Cell):
    """The loss as one writes it down with `mint`, gradients left to MindSpore: for ordinary rows, margin 0."""

    def __init__(self, reduction='mean', axis=1):
        super().__init__()
        self.reduction, self.axis = reduction, axis

    def construct(self, logits_x1, logits_x2, labels):
        product = mint.sum(logits_x1 * logits_x2, self.axis)
        squares = mint.sum(logits_x1 * logits_x1, self.axis) * mint.sum(logits_x2 * logits_x2, self.axis)
        cosine = product / mint.sqrt(squares)
        losses = ops.select(labels == 1, 1 - cosine, mint.clamp(cosine, 0))
        if self.reduction == 'none':
            return losses
        return mint.sum(losses) if self.reduction == 'sum' else mint.mean(losses)


def rival(dtype, reduction='mean', axis=1):
    """What plain may be no worse than: `mindspore.nn`, and where that has float32 or no such axis, the same by hand."""
    if dtype == ms.float32 and axis == 1:
        return nn.CosineEmbeddingLoss(reduction=reduction)
    return ByHand(reduction, axis)


def tolerance_beside(theirs, expected, dtype):
    """The error that the contract allows `dtype` where sums are long, given what a rival computed from the same input.

    4 units at 1, and for plain what the device's own sums lose: the worst error of the rival.
    """
    lost = 0 if get_implementation() == 'native' else np.max(np.abs(theirs - np.asarray(expected, np.float64)))
    return 4 * UNIT[dtype] + lost


def tolerance(expected, dtype, terms=1):
    """The error that the contract allows the implementation in use for `terms` losses added up to `expected`.

    Plain: each loss may be off by 4 units of the arithmetic at 1 beyond what sums over the row lose, which is nothing
    to speak of for the short rows that this is for (long ones: `tolerance_beside`), and a half result by 2 of its own
    units on top. Adding up n numbers, none above 2, may add one rounding of the total. Native: 2 units of the
    result, float64 as plain.
    """
    total = np.asarray(expected, np.float64)
    if get_implementation() == 'native' and dtype != ms.float64:
        # Below any loss that a test looks at, but not below what double-double arithmetic rounds.
        return 2 * ulp(total, dtype) + 1e-22
    allowed = 4 * UNIT[arithmetic(dtype)] * terms
    if terms > 1:
        allowed = allowed + ulp(total, arithmetic(dtype))
    if dtype in HALVES:
        allowed = allowed + 2 * ulp(total, dtype)
    return allowed


def assert_within(actual, expected, allowed):
    """That `actual` differs from `expected`, both finite, by at most `allowed`, element by element."""
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    error = np.abs(actual - expected)
    worst = np.max(error / allowed, initial=0)
    assert worst <= 1, f'{worst} times the tolerance; {actual} for {expected}'


def assert_rows_within(actual, expected, relative, axis=-1, size=None):
    """That each vector along `axis` is off by at most `relative` of its length, or of `size` where that is given."""
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    error = np.linalg.norm(actual - expected, axis=axis)
    allowed = relative * (np.linalg.norm(expected, axis=axis) if size is None else size)
    worst = np.max(error - allowed, initial=0)
    assert (error <= allowed).all(), f'off by {error} where {allowed} is allowed, {worst} too much'
