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
"""Random valid inputs over all that the contract allows, and its tolerances for their losses and gradients."""
import dataclasses
from unittest import mock

import mindspore as ms
import mpmath
import numpy as np
from hypothesis import strategies as st
from mindspore import ops

from ms_cosine_loss import CosineEmbeddingLoss, get_implementation
from tests import truth
from tests.by_hand.fuzz.calls import LABELS_DTYPES, REDUCTIONS
from tests.st.evaluation import (
    DTYPES,
    HALVES,
    UNIT,
    arithmetic,
    array,
    labels_shape,
    rounded,
    tensor,
    tolerance,
)

LARGEST = {ms.float16: 65504.0, ms.bfloat16: 2.0 ** 128 - 2.0 ** 120, ms.float32: 2.0 ** 128 - 2.0 ** 104,
           ms.float64: np.finfo(np.float64).max}
SMALLEST_NORMAL = {ms.float16: 2.0 ** -14, ms.bfloat16: 2.0 ** -126, ms.float32: 2.0 ** -126, ms.float64: 2.0 ** -1022}
EXPONENTS = {ms.float16: (-24, 15), ms.bfloat16: (-133, 127), ms.float32: (-149, 127), ms.float64: (-1074, 1023)}

# Labels other than 1 and -1; narrowing or truncating would turn some into 1 or -1.
OTHER_LABELS = {ms.int8: (0, 2, -128), ms.int16: (0, 257, -255), ms.int32: (0, 65537, -65535, 257),
                ms.int64: (0, 2 ** 32 + 1, 2 ** 32 - 1), ms.float16: (0, 0.5, np.nan, np.inf, 1 + 2 ** -10),
                ms.bfloat16: (0, -0.5, np.nan, -np.inf, 1 + 2 ** -7), ms.float32: (0, 0.5, np.nan, 1 + 2 ** -23),
                ms.float64: (0, -0.5, np.nan, 1 + 2 ** -52, -1 - 2 ** -40)}

LAYINGS = ('contiguous', 'transposed', 'strided', 'offset')


@dataclasses.dataclass(frozen=True)
class Case:
    """One valid call; the logits are float64 arrays of numbers of `dtype`."""

    x1: object
    x2: object
    labels: object
    dtype: object = ms.float32
    labels_dtype: object = ms.int32
    margin: float = 0.0
    reduction: str = 'none'
    axis: int = 1
    eps: float = 1e-12
    upstream: object = 1.0
    layings: tuple = ('contiguous',) * 3

    def __post_init__(self):
        for name in ('x1', 'x2', 'labels', 'upstream'):
            wanted = None if name == 'labels' else np.float64
            object.__setattr__(self, name, np.asarray(getattr(self, name), wanted))

    def __repr__(self):
        # With all digits, so that it can be used as an example.
        shown = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return f'Case({", ".join(f"{k}={v.tolist() if isinstance(v, np.ndarray) else v!r}" for k, v in shown)})'

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))

    def replaced(self, **changes):
        return dataclasses.replace(self, **changes)

    @property
    def settings(self):
        return {'margin': self.margin, 'reduction': self.reduction, 'axis': self.axis, 'eps': self.eps}

    @property
    def counted_axis(self):
        return 0 if self.x1.ndim == 1 else self.axis % self.x1.ndim

    @property
    def tensors(self):
        return [laid(values, dtype, laying) for values, dtype, laying
                in zip((self.x1, self.x2, self.labels), (self.dtype, self.dtype, self.labels_dtype), self.layings)]

    def pairs(self):
        """Returns the pairs of vectors as two matrices, and their labels."""
        shape = np.broadcast_shapes(self.x1.shape, self.x2.shape)
        rows = [np.moveaxis(np.broadcast_to(x, shape), self.counted_axis, -1) for x in (self.x1, self.x2)]
        return (*(each.reshape(self.labels.size, shape[self.counted_axis]) for each in rows), self.labels.reshape(-1))

    def where(self, x):
        """Returns, for each pair, the index of its vector among those of `x`."""
        outside = list(x.shape)
        del outside[self.counted_axis]
        numbers = np.arange(np.prod(outside, dtype=int)).reshape(outside)
        return np.broadcast_to(numbers, self.labels.shape).reshape(-1)

    def is_counted(self):
        """Returns, for each pair, whether its label is 1 or -1."""
        labels = self.labels.reshape(-1)
        return (labels == 1) | (labels == -1)

    def is_finite(self):
        """Returns, for each pair, whether both vectors are finite."""
        rows1, rows2, _ = self.pairs()
        return np.isfinite(rows1).all(axis=1) & np.isfinite(rows2).all(axis=1)

    def within(self, implementation, is_differentiated=False):
        """Returns the case, ignoring the pairs that `implementation` documents as too large or too small for it."""
        if implementation == 'native':
            return self
        with np.errstate(all='ignore'):
            labels = np.where(self._is_in_range(is_differentiated) | ~self.is_finite(), self.labels.reshape(-1), 0)
        return self.replaced(labels=labels.reshape(self.labels.shape).astype(self.labels.dtype))

    def _is_in_range(self, is_differentiated):
        # Squared norms must be in the range of the arithmetic, and large enough for what underflows to be below the
        # last place. A row of zeros is in range whatever eps is.
        dtype = arithmetic(self.dtype)
        largest, smallest = (np.longdouble(limit[dtype]) for limit in (LARGEST, SMALLEST_NORMAL))
        rows = [x.astype(np.longdouble) for x in self.pairs()[:2]]
        squares = [(x * x).sum(axis=1) + np.longdouble(self.eps) for x in rows]
        smallest = smallest * 16 * max(1, rows[0].shape[1]) / UNIT[dtype]
        fits = np.ones(len(rows[0]), bool)
        for x, square in zip(rows, squares):
            is_zero = ~x.any(axis=1)
            # The gradient of a row of zeros needs an eps in the range of the arithmetic, or 0.
            takes_zero = self.eps == 0 or not is_differentiated
            fits &= (square < largest / 16) & ((square > smallest) | is_zero & takes_zero)
        if is_differentiated:
            # Gradients overflow if one vector is too long relative to a short one.
            for one, other in (squares, squares[::-1]):
                fits &= (one == 0) | (other == 0) | (np.sqrt(other) / one < largest / 16)
        return fits


def laid(values, dtype, laying):
    """Returns a tensor of `values`, contiguous or a view of a larger or transposed one, as `laying` says."""
    values = np.asarray(values)
    if laying == 'contiguous' or not values.ndim:
        return tensor(values, dtype)
    if laying == 'transposed':
        view = tensor(values.T.copy(), dtype).T
    else:
        # The elements in between must not be read.
        step = 2 if laying == 'strided' else 1
        base = np.full((step * len(values) + 1, *values.shape[1:]), 1 if values.dtype.kind == 'i' else np.nan)
        base = base.astype(values.dtype)
        base[1::step] = values
        view = tensor(base, dtype)[1::step]
    assert view.shape == values.shape
    np.testing.assert_array_equal(array(view), values.astype(np.float64))
    return view


def evaluated(case):
    """Returns the loss in the current mode."""
    result = CosineEmbeddingLoss(**case.settings)(*case.tensors)
    assert result.dtype == case.dtype
    assert result.shape == (case.labels.shape if case.reduction == 'none' else ())
    return array(result)


def differentiated(settings, dtype):
    """Returns a function of the inputs and weights that returns the losses and both gradients of their weighted sum."""
    loss = CosineEmbeddingLoss(**settings)

    def weighted(first, second, targets, weights):
        losses = loss(first, second, targets)
        return ops.cast(losses, arithmetic(dtype)) * weights, losses

    return ms.value_and_grad(weighted, (0, 1), has_aux=True)


def losses_and_gradients(case, function):
    """Returns the losses and gradients of a function made by `differentiated`, as float64 arrays."""
    (_, losses), gradients = function(*case.tensors, tensor(case.upstream, arithmetic(case.dtype)))
    assert losses.dtype == case.dtype
    for gradient, x in zip(gradients, (case.x1, case.x2)):
        assert gradient.dtype == case.dtype
        assert gradient.shape == x.shape
    return array(losses), [array(gradient) for gradient in gradients]


# --- the draws ---

@st.composite
def _layouts(draw, max_size, min_rank=1):
    rank = draw(st.integers(min_rank, 4))
    axis = draw(st.integers(0, rank - 1))
    shape1, shape2, size = [], [], 1
    for current in range(rank):
        if current == axis:
            length = draw(st.one_of(st.integers(0, 9), st.sampled_from([2, 3, 16, 17, 33])))
        else:
            length = draw(st.sampled_from([1, 2, 3, 1, 2, 3, 4, 7, 0]))
        length = min(length, max(1, max_size // max(1, size)))
        size *= length
        shape1.append(length)
        shape2.append(length)
        if current != axis:
            repeated = draw(st.sampled_from([None, None, None, shape1, shape2]))
            if repeated is not None:
                repeated[-1] = 1
    spellings = [axis, axis - rank] + [1] * (rank == 1)
    return tuple(shape1), tuple(shape2), draw(st.sampled_from(spellings))


KINDS = ('normal', 'normal', 'constant', 'sparse', 'spread', 'bits', 'zero')
RELATIONS = ('free', 'free', 'equal', 'opposite', 'multiple', 'near', 'near opposite', 'orthogonal')
SPOILERS = (np.nan, np.inf, -np.inf)


def _vector(rng, kind, length, dtype):
    if kind == 'zero':
        return np.zeros(length)
    if kind == 'constant':
        return np.full(length, rng.uniform(0.1, 1))
    if kind == 'bits':
        low, high = EXPONENTS[dtype]
        return np.ldexp(rng.uniform(-2, 2, length), rng.integers(low // 2, high // 2, length))
    vector = rng.normal(size=length)
    if kind == 'sparse':
        return vector * (rng.random(length) < 0.5)
    if kind == 'spread':
        return vector * 10.0 ** rng.uniform(-8, 0, length)
    return vector


def _related(rng, relation, x, dtype):
    """Returns a vector in the given relation to x."""
    noise = rng.normal(size=x.size)
    if relation == 'equal':
        return x
    if relation == 'opposite':
        return -x
    if relation == 'multiple':
        return x * rng.uniform(0.5, 2)
    if relation.startswith('near'):
        turned = x + np.max(np.abs(x), initial=0) * noise * 10.0 ** rng.uniform(np.log10(UNIT[dtype]), 0)
        return -turned if relation == 'near opposite' else turned
    if relation == 'orthogonal' and x.any():
        unit = x / np.max(np.abs(x))
        return noise - unit * (noise @ unit) / (unit @ unit)
    return noise


def _scaled(x, exponent, dtype):
    """Returns x times a power of 2, rounded and clipped to the range of `dtype`."""
    largest = LARGEST[dtype]
    with np.errstate(over='ignore', under='ignore'):
        x = np.clip(np.ldexp(x, exponent), -largest, largest)
        return np.clip(rounded(x, dtype), -largest, largest)


@st.composite
def cases(draw, max_size=48, min_rank=1, fixed=None):
    """Draws valid cases; `fixed` gives the shapes and axis as `layout`, and any fields of the Case."""
    fixed = dict(fixed or {})
    layout = fixed.pop('layout', None)
    shape1, shape2, axis = layout or draw(_layouts(max_size, min_rank))
    dtype = fixed['dtype'] if 'dtype' in fixed else draw(st.sampled_from(DTYPES))
    counted = 0 if len(shape1) == 1 else axis % len(shape1)
    rows1, rows2 = (tuple(np.delete(shape, counted)) for shape in (shape1, shape2))
    length = shape1[counted]
    # The numbers come from a generator with a drawn seed; Hypothesis searches their kinds and relations.
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    low, high = EXPONENTS[dtype]
    exponents = draw(st.sampled_from([st.integers(-3, 3), st.integers(low // 2 + 12, high // 2 - 3),
                                      st.integers(low, high), st.sampled_from([low, low + 1, high - 1, high])]))
    x1, x2 = np.zeros((*rows1, length)), np.zeros((*rows2, length))
    for row in np.ndindex(rows1):
        x1[row] = _scaled(_vector(rng, draw(st.sampled_from(KINDS)), length, dtype), 0, dtype)
    for row in np.ndindex(rows2):
        kind, relation = draw(st.sampled_from(KINDS[2:] + RELATIONS * 2)), None
        if kind in RELATIONS:
            relation = kind
        if relation and x1.size:
            other = x1[tuple(i % n for i, n in zip(row, rows1))]
            x2[row] = _scaled(_related(rng, relation, other, dtype), 0, dtype)
        else:
            x2[row] = _scaled(_vector(rng, kind if relation is None else 'normal', length, dtype), 0, dtype)
    is_common = draw(st.booleans())
    for x, rows in ((x1, rows1), (x2, rows2)):
        common = draw(exponents)
        for row in np.ndindex(rows):
            x[row] = _scaled(x[row], common if is_common else draw(exponents), dtype)
    labels_dtype = fixed.get('labels_dtype') or draw(st.sampled_from(LABELS_DTYPES))
    labels = st.sampled_from([1, -1, 1, -1, 1, -1, *OTHER_LABELS[labels_dtype][:1]])
    if draw(st.booleans()):
        labels = st.one_of(labels, st.sampled_from(OTHER_LABELS[labels_dtype]))
    shape = labels_shape(shape1, shape2, axis)
    count = int(np.prod(shape, dtype=int))
    labels = np.array(draw(st.lists(labels, min_size=count, max_size=count)),
                      np.int64 if 'Int' in str(labels_dtype) else np.float64).reshape(shape)
    for x in (x1, x2):
        if x.size and draw(st.sampled_from([False, False, False, True])):
            row = tuple(draw(st.integers(0, n - 1)) for n in x.shape)
            x[row] = draw(st.sampled_from(SPOILERS))
    reduction = fixed.get('reduction') or draw(st.sampled_from(REDUCTIONS))
    weights = st.sampled_from([1.0, 1.0, 0.0, -1.5, 0.375, 1024.0, 2.0 ** -10])
    upstream = draw(weights)
    if reduction == 'none':
        upstream = np.reshape(draw(st.lists(weights, min_size=count, max_size=count)), shape)
    eps = draw(st.sampled_from([1e-12, 1e-12, 0.0, 0.0, 1e-8, 1.0, 5e-324, 1e-200, 1e-40, 2.0 ** -126, 1e30, 1e200]))
    margin = draw(st.one_of(st.sampled_from([0.0, 0.0, -1.0, 1.0, 0.5, -0.3, 0.1]), st.floats(-1, 1)))
    drawn = {'x1': np.moveaxis(x1, -1, counted), 'x2': np.moveaxis(x2, -1, counted), 'labels': labels, 'dtype': dtype,
             'labels_dtype': labels_dtype, 'margin': margin, 'reduction': reduction, 'axis': axis, 'eps': eps,
             'upstream': upstream, 'layings': draw(st.tuples(*[st.sampled_from(LAYINGS)] * 3))}
    case = Case(**{**drawn, **fixed})
    if 'margin' not in fixed and count and length and draw(st.sampled_from([False, False, True])):
        # Put the margin at the cosine of one of the pairs.
        chosen = draw(st.integers(0, count - 1))
        cosine = exact_cosines(case)[chosen]
        case = case.replaced(margin=min(1.0, max(-1.0, float(cosine))))
    return case


# --- the truth ---

def _finite_pairs(case):
    """Returns the pairs, with non-finite ones replaced by pairs of ones."""
    rows1, rows2, labels = case.pairs()
    finite = case.is_finite()[:, None]
    return np.where(finite, rows1, 1.0), np.where(finite, rows2, 1.0), labels


def exact_cosines(case):
    """Returns the cosine of each pair to the digits of `truth`; arbitrary for non-finite pairs."""
    rows1, rows2, labels = _finite_pairs(case)
    # With a margin of -2, the loss of a dissimilar pair is the cosine plus 2.
    losses = truth.pair_losses(rows1, rows2, np.full(len(labels), -1), margin=-2, eps=case.eps)
    with mpmath.workdps(truth.DIGITS):
        return losses - 2


def expected_losses(case):
    """Returns the reduced losses, as `mpmath.mpf` or NaN."""
    rows1, rows2, labels = _finite_pairs(case)
    losses = truth.pair_losses(rows1, rows2, labels, margin=case.margin, eps=case.eps)
    losses[case.is_counted() & ~case.is_finite()] = mpmath.nan
    if case.reduction == 'none':
        return losses.reshape(case.labels.shape)
    if not losses.size:
        return mpmath.mpf(0) if case.reduction == 'sum' else mpmath.nan
    return truth.reduced(losses, case.reduction)


def assert_losses(case, actual, factor=1):
    """Asserts that losses match the truth within `factor` times the contract's tolerance and obey every invariant."""
    with np.errstate(invalid='ignore'):
        expected = np.array(expected_losses(case), dtype=object).astype(np.float64)
    terms = case.is_counted().sum() if case.reduction == 'sum' else 1
    is_nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(actual), is_nan)
    kept, truly = actual[~is_nan], expected[~is_nan]
    assert (kept >= 0).all()
    error = np.abs(kept - truly)
    allowed = factor * tolerance(truly, case.dtype, max(1, terms))
    assert (error <= allowed).all(), f'got {kept}, expected {truly}; error {error} exceeds {allowed}'
    if case.reduction == 'none':
        assert (actual[~case.is_counted().reshape(actual.shape)] == 0).all()


def _needed_digits(rows, squares):
    """Returns the digits with which the differences of `truth` keep 30, however little the vectors change the loss."""
    digits = truth.DIGITS
    for x, square in zip(rows, squares):
        largest = np.max(np.abs(x), axis=1, initial=0).astype(np.longdouble)
        some = (largest > 0) & (square > 0)
        with np.errstate(all='ignore'):
            share = np.log10(np.sqrt(square[some])) - np.log10(largest[some])
        digits += max(0, int(np.max(share, initial=0)))
    return digits


def _lengths(rows):
    return np.sqrt((rows.astype(np.longdouble) ** 2).sum(axis=1))


def assert_gradients(case, actual):
    """Asserts that both gradients match the truth within the contract's tolerance."""
    native = get_implementation() == 'native'
    wide = arithmetic(case.dtype)
    rows1, rows2, labels = _finite_pairs(case)
    if not rows1.shape[1]:
        return
    counted, finite = case.is_counted(), case.is_finite()
    weights = np.broadcast_to(case.upstream, case.labels.shape).reshape(-1)
    if case.reduction == 'mean':
        weights = weights / max(1, labels.size)
    squares = [(x.astype(np.longdouble) ** 2).sum(axis=1) + np.longdouble(case.eps) for x in (rows1, rows2)]
    directed = (squares[0] > 0) & (squares[1] > 0)
    dissimilar = labels == -1
    if native:
        hinge = np.array([truth.hinge_sign(*pair, case.margin, case.eps) for pair in zip(rows1, rows2)])
        closed, undecided = dissimilar & (hinge < 0), np.zeros(len(labels), bool)
    else:
        # Where rounding decides whether the hinge is open, both gradients are right.
        hinge, edge = (exact_cosines(case) - mpmath.mpf(case.margin)).astype(np.float64), 4 * UNIT[wide]
        closed, undecided = dissimilar & (hinge < -edge), dissimilar & (hinge <= edge) & (case.margin > -1)
    flows = counted & finite & directed & ~closed
    undecided &= flows
    used = np.where(flows, labels, 0)
    with mock.patch.object(truth, 'DIGITS', _needed_digits((rows1[flows], rows2[flows]), [s[flows] for s in squares])):
        found = truth.gradients(*(np.where(flows[:, None], x, 1.0) for x in (rows1, rows2)), used, weights, margin=-2,
                                eps=case.eps)
    for gradient, truly, x, square in zip(actual, found, (case.x1, case.x2), squares):
        where = case.where(x)
        gradient = np.moveaxis(gradient, case.counted_axis, -1).reshape(-1, truly.shape[1])
        spoilt, alone = np.zeros(len(gradient), bool), np.ones(len(gradient), bool)
        spoilt[where[counted & ~finite]] = True
        alone[where[flows | counted & ~finite]] = False
        # A row to which no pair contributes has a gradient of exactly 0, whatever it or its partners contain.
        assert (gradient[alone] == 0).all(), f'got {gradient}, which should be 0 where {alone}'
        with np.errstate(all='ignore'):
            size = np.where(flows, np.abs(weights) / np.sqrt(square), 0)
            length = np.where(flows, _lengths(truly), 0)
            # The gradient is a difference of vectors of norm `size`, which cancel as the cosine approaches 1 or -1.
            if native:
                relative = 4 * UNIT[case.dtype] if wide == ms.float32 else 1e-14
                each = np.maximum(relative * length, 8 * UNIT[ms.float64] * size)
            else:
                relative = 1e-6 if wide == ms.float32 else 1e-14
                each = np.maximum(relative * length, 8 * UNIT[wide] * size)
                each = each + (2 * UNIT[case.dtype] * length if case.dtype in HALVES else 0)
            each = each + np.where(undecided, length, 0)
            # The rounding of the sums.
            each = each + UNIT[wide if not native else ms.float64] * length
            allowed, expected = np.zeros(len(gradient), np.longdouble), np.zeros(gradient.shape, np.longdouble)
            np.add.at(allowed, where, each)
            np.add.at(expected, where, truly)
        # The kernel's doubles keep what is subnormal in narrower dtypes until the last rounding.
        tiny = SMALLEST_NORMAL[case.dtype] * (UNIT[case.dtype] if native and wide == ms.float32 else 1)
        allowed = allowed + tiny * np.sqrt(gradient.shape[1])
        beyond = np.abs(expected) >= 0.99 * LARGEST[case.dtype]
        # Contributions beyond the range may cancel; their sum cannot be judged.
        spoilt |= allowed >= 0.01 * LARGEST[case.dtype]
        if wide == ms.float64:
            # The difference of two overflowed doubles is NaN; there is no wider type.
            spoilt |= beyond.any(axis=1)
        assert not np.isnan(gradient[~spoilt]).any(), f'got {gradient}, expected {expected.astype(float)}'
        assert (np.abs(gradient[beyond & ~spoilt[:, None]]) >= 0.98 * LARGEST[case.dtype]).all()
        held = ~spoilt & ~beyond.any(axis=1)
        with np.errstate(all='ignore'):
            error = _lengths(gradient[held] - expected[held])
        assert (error <= allowed[held]).all(), (
            f'got {gradient[held]}, expected {expected[held].astype(float)}; error {error} exceeds {allowed[held]}')
