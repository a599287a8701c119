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
"""Helpers of all behavioural tests: exact tensors of each dtype, and values and gradients as float64 arrays."""
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
"""Every dtype, and eps zero and non-zero, for tests that do not need every combination."""

UNIT = {ms.float16: 2.0 ** -10, ms.bfloat16: 2.0 ** -7, ms.float32: 2.0 ** -23, ms.float64: 2.0 ** -52}
"""By dtype: one unit in the last place of 1."""

_SMALLEST_NORMAL = {ms.float16: 2.0 ** -14, ms.bfloat16: 2.0 ** -126, ms.float32: 2.0 ** -126, ms.float64: 2.0 ** -1022}


def arithmetic(dtype):
    """The narrowest dtype in which the loss of logits in `dtype` is computed."""
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
        # Rounds to the upper half of the bits, ties to even; the carry must not turn a NaN into an infinity.
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
    """A tensor of exactly `values`, which must be numbers of `dtype`."""
    values = np.asarray(values)
    if dtype == ms.bfloat16:
        result = Tensor(values.astype(np.float32)).astype(ms.bfloat16)
    else:
        with np.errstate(invalid='ignore'):
            result = Tensor(values.astype(str(dtype).lower()))
    assert result.dtype == dtype
    assert result.shape == values.shape
    # The reference must get the same numbers as the loss.
    np.testing.assert_array_equal(array(result), values.astype(np.float64))
    return result


def normal(seed, shape, dtype=ms.float64):
    """Normally distributed numbers of `dtype`."""
    return rounded(np.random.default_rng(seed).normal(size=shape), dtype)


def signs(seed, shape):
    """Labels 1 and -1, both of them if there is more than one."""
    labels = np.where(np.arange(np.prod(shape, dtype=int)) % 2, -1, 1)
    return np.random.default_rng(seed).permutation(labels).reshape(shape)


def labels_shape(shape1, shape2, axis):
    """The shape of the labels for logits of the given shapes."""
    shape = list(np.broadcast_shapes(shape1, shape2))
    del shape[0 if len(shape) == 1 else axis]
    return tuple(shape)


def norms(rows):
    """The norm of each row, or of a single vector."""
    return np.linalg.norm(np.atleast_2d(rows), axis=1)


def pair_losses(x1, x2, labels, axis=1, **settings):
    """The true losses of logits that broadcast; `axis` is as in the Cell."""
    shape = np.broadcast_shapes(np.shape(x1), np.shape(x2))
    return truth.pair_losses(np.broadcast_to(x1, shape), np.broadcast_to(x2, shape), labels,
                             axis=0 if len(shape) == 1 else axis, **settings)


def pair_gradients(x1, x2, labels, upstream=1.0, axis=1, **settings):
    """The true gradients in the shapes of the logits, summed over the axes along which each is broadcast."""
    shape = np.broadcast_shapes(np.shape(x1), np.shape(x2))
    found = truth.gradients(np.broadcast_to(x1, shape), np.broadcast_to(x2, shape), labels,
                            np.broadcast_to(upstream, np.shape(labels)), axis=0 if len(shape) == 1 else axis,
                            **settings)
    return tuple(gradient.sum(axis=tuple(i for i, length in enumerate(x.shape) if length != shape[i]), keepdims=True)
                 for gradient, x in zip(found, (x1, x2)))


class Weighted(nn.Cell):
    """A loss times an upstream weight."""

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
    """The loss, and the gradients of sum(upstream * loss) with respect to both logits, in the current mode."""
    loss = CosineEmbeddingLoss(**settings)

    def weighted(first, second, targets, weights):
        losses = loss(first, second, targets)
        # MindSpore differentiates the sum of a non-scalar result. Widened, because before 2.9 it has no product of
        # bfloat16 on CPU.
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
    """The gradients of sum(upstream * loss) with respect to both logits, in the current mode."""
    return value_and_gradients(x1, x2, labels, dtype, upstream, labels_dtype, **settings)[1:]


class ByHand(nn.Cell):
    """The loss written by hand with `mint` and differentiated by MindSpore, for ordinary rows and margin 0."""

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
    """The loss that bounds plain's error: `mindspore.nn` for float32 along axis 1, otherwise the loss by hand."""
    if dtype == ms.float32 and axis == 1:
        return nn.CosineEmbeddingLoss(reduction=reduction)
    return ByHand(reduction, axis)


def tolerance_beside(theirs, expected, dtype):
    """The contract's tolerance for `dtype` with long sums, given a rival's result for the same input.

    It is 4 ulp of 1, plus for plain what the device's own sums lose: the worst error of the rival.
    """
    lost = 0 if get_implementation() == 'native' else np.max(np.abs(theirs - np.asarray(expected, np.float64)))
    return 4 * UNIT[dtype] + lost


def tolerance(expected, dtype, terms=1):
    """The contract's tolerance of the current implementation for a sum of `terms` losses equal to `expected`.

    Plain: 4 ulp of 1 in the arithmetic's precision for each loss, plus what sums over the row lose, which is negligible
    for short rows (for long ones see `tolerance_beside`), plus 2 ulp of a half-precision result. Adding several losses
    may add one rounding of the total. Native: 2 ulp of the result; float64 as plain.
    """
    total = np.asarray(expected, np.float64)
    if get_implementation() == 'native' and dtype != ms.float64:
        # 1e-22 is below every loss tested, but above the rounding of double-double.
        return 2 * ulp(total, dtype) + 1e-22
    allowed = 4 * UNIT[arithmetic(dtype)] * terms
    if terms > 1:
        allowed = allowed + ulp(total, arithmetic(dtype))
    if dtype in HALVES:
        allowed = allowed + 2 * ulp(total, dtype)
    return allowed


def assert_within(actual, expected, allowed):
    """Asserts that `actual` is finite and differs from `expected` by at most `allowed`, elementwise."""
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    error = np.abs(actual - expected)
    worst = np.max(error / allowed, initial=0)
    assert worst <= 1, f'{worst} times the tolerance; got {actual}, expected {expected}'


def assert_rows_within(actual, expected, relative, axis=-1, size=None):
    """Asserts that the error of each vector along `axis` is at most `relative` times its norm, or times `size`."""
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    error = np.linalg.norm(actual - expected, axis=axis)
    allowed = relative * (np.linalg.norm(expected, axis=axis) if size is None else size)
    worst = np.max(error - allowed, initial=0)
    assert (error <= allowed).all(), f'error {error} exceeds the tolerance {allowed} by up to {worst}'
