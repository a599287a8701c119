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
"""What native promises beyond plain, and how it works with MindSpore."""
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn

import ms_cosine_loss
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation
from ms_cosine_loss.implementations import native
from tests import truth
from tests.st.evaluation import (
    HALVES,
    UNIT,
    array,
    assert_rows_within,
    assert_within,
    gradients,
    normal,
    pair_gradients,
    pair_losses,
    rounded,
    signs,
    tensor,
    tolerance,
    ulp,
    value,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures('_native_forced')

DTYPES = [ms.float16, ms.bfloat16, ms.float32]


@pytest.fixture
def _native_forced(mode):
    with use_implementation('native'):
        yield


def _near_parallel(dtype, length, scale):
    """Pairs whose 1 - cos goes from 1e-1 down to about 1e-9, as far as the dtype's precision allows."""
    rng = np.random.default_rng(length)
    angles = np.logspace(-0.5, -4.5, 24)[:, None]
    x1 = rng.standard_normal((24, length))
    x2 = x1 + angles * rng.standard_normal((24, length))
    return rounded(x1 * scale, dtype), rounded(x2 * scale * 0.7, dtype)


# Powers of two near both ends of each dtype: halves down to subnormal numbers, squares out of float32's range.
SCALES = {ms.float16: (1.0, 2.0 ** 13, 2.0 ** -12), ms.bfloat16: (1.0, 2.0 ** 122, 2.0 ** -110),
          ms.float32: (1.0, 2.0 ** 122, 2.0 ** -110)}


@pytest.mark.parametrize(('dtype', 'scale'), [(dtype, scale) for dtype in DTYPES for scale in SCALES[dtype]], ids=str)
def test_two_ulp_down_to_nearly_parallel_at_every_scale(dtype, scale):
    for length in (2, 7, 64, 333):
        x1, x2 = _near_parallel(dtype, length, scale)
        expected = truth.pair_losses(x1, x2, np.ones(24), eps=0).astype(np.float64)
        kept = expected >= 1e-9
        assert kept.any()
        assert expected.min() < 1e-4
        found = value(x1, x2, np.ones(24), dtype, reduction='none', eps=0)
        assert_within(found[kept], expected[kept], 2 * ulp(expected[kept], dtype))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_denormal_numbers_are_not_taken_for_zero(dtype):
    # MindSpore's threads run graphs with subnormal numbers flushed to zero.
    smallest = {ms.float16: 2.0 ** -24, ms.bfloat16: 2.0 ** -133, ms.float32: 2.0 ** -149}[dtype]
    x1, x2 = smallest * np.round(5 * normal(20, (6, 40))), smallest * np.round(5 * normal(21, (6, 40)))
    labels = signs(22, 6)
    expected = truth.pair_losses(x1, x2, labels, margin=-1.0, eps=0).astype(np.float64)
    found = value(x1, x2, labels, dtype, reduction='none', margin=-1.0, eps=0)
    assert_within(found, expected, 2 * ulp(expected, dtype))
    # Subnormal gradients, of the largest vectors.
    large = {ms.float16: 6e4, ms.bfloat16: 2.0 ** 126, ms.float32: 2.0 ** 126}[dtype] * np.sign(normal(23, (6, 40)))
    large = rounded(large, dtype)
    x2 = rounded(normal(24, (6, 40)), dtype)
    truly = truth.gradients(large, x2, labels, margin=-1.0)[0]
    found = gradients(large, x2, labels, dtype, margin=-1.0, reduction='none')[0]
    assert np.abs(found).max() > 0
    assert_within(found, truly, 2 * np.maximum(ulp(truly, dtype), smallest))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_two_ulp_of_a_very_long_row(dtype):
    rng = np.random.default_rng(3)
    ones = np.ones(100_003)
    # The sums of rows of equal numbers are always rounded to the same side; 1 - cos of nearly parallel rows cancels.
    x1 = np.stack([0.3 * ones, rng.standard_normal(100_003), rng.standard_normal(100_003)])
    x2 = np.stack([np.where(np.arange(100_003) % 1000, 0.7, -0.7), x1[1] + 0.05 * rng.standard_normal(100_003),
                   rng.standard_normal(100_003)])
    x1, x2 = rounded(x1, dtype), rounded(x2, dtype)
    expected = truth.pair_losses(x1, x2, np.ones(3)).astype(np.float64)
    found = value(x1, x2, np.ones(3), dtype, reduction='none')
    assert_within(found, expected, 2 * ulp(expected, dtype))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_two_ulp_around_the_margin(dtype):
    # cos - margin of this pair goes down to 1e-9 above and below 0.
    x1, x2 = normal(5, (1, 40), dtype), normal(6, (1, 40), dtype)
    cosines = (1 - truth.pair_losses(x1, x2, [1])).astype(np.float64)
    for offset in (1e-3, 1e-6, 1e-9, -1e-9, -1e-6):
        margin = float(cosines[0] - offset)
        expected = truth.pair_losses(x1[:1], x2[:1], [-1], margin=margin).astype(np.float64)
        found = value(x1[:1], x2[:1], [-1], dtype, reduction='none', margin=margin)
        if offset > 0:
            assert expected > 0
            assert_within(found, expected, 2 * ulp(expected, dtype))
        else:
            assert expected == found == 0


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_gradient_of_nearly_parallel_pairs(dtype):
    x1, x2 = _near_parallel(dtype, 48, 1.0)
    labels = np.ones(24)
    kept = truth.pair_losses(x1, x2, labels).astype(np.float64) >= 1e-9
    x1, x2, labels = x1[kept], x2[kept], labels[kept]
    for found, expected in zip(gradients(x1, x2, labels, dtype, reduction='none'), truth.gradients(x1, x2, labels)):
        # The contract's 4 ulp by norm, plus the rounding of subnormal halves.
        smallest = 2.0 ** -24 * np.sqrt(48) if dtype == ms.float16 else 0
        size = np.linalg.norm(expected, axis=1) + smallest / (4 * UNIT[dtype])
        assert_rows_within(found, expected, 4 * UNIT[dtype], size=size)


@pytest.mark.parametrize(('dtype', 'scales'), [
    (ms.float16, (1e-3, 1, 1e3)), (ms.bfloat16, (1e-15, 1e-6, 1, 1e15)), (ms.float32, (1e-15, 1e-6, 1, 1e15)),
    (ms.float64, (1e-100, 1e-6, 1, 1e100)),
], ids=str)
def test_gradient_of_equal_pairs(dtype, scales):
    # What eps leaves of x2 / (m + eps) - x1 / (m + eps), two terms that are each rounded twice in double.
    x = rounded(np.repeat(scales, 8)[:, None] * normal(20, (8 * len(scales), 12)) / 4, dtype)
    terms = np.abs(x) / ((x * x).sum(axis=1, keepdims=True) + 1e-12)
    with mock.patch.object(truth, 'DIGITS', 300):
        expected = truth.gradients(x, x, np.ones(len(x)))
    for found, truly in zip(gradients(x, x, np.ones(len(x)), dtype, reduction='none'), expected):
        assert_within(found, truly, 2 * UNIT[ms.float64] * terms + ulp(truly, dtype))


@pytest.mark.parametrize('scales', [(1e300, 1e-300), (1e300, 1e300), (1e-300, 1e-300), (1e-170, 1.0), (1.7e308, 1.0)])
def test_float64_far_from_one(scales):
    directions = [normal(seed, (6, 9)) for seed in (7, 8)]
    x1, x2 = (direction / np.abs(direction).max() * scale for direction, scale in zip(directions, scales))
    labels = signs(9, 6)
    expected = truth.pair_losses(x1, x2, labels, margin=-1.0, eps=0).astype(np.float64)
    found = value(x1, x2, labels, ms.float64, margin=-1.0, eps=0, reduction='none')
    assert_within(found, expected, 4 * UNIT[ms.float64])
    x1, x2 = (direction * 2.0 ** np.round(np.log2(scale)) for direction, scale in zip(directions, (1e100, 1e-200)))
    for gradient, truly in zip(gradients(x1, x2, labels, ms.float64, margin=-1.0, eps=0, reduction='none'),
                               truth.gradients(x1, x2, labels, margin=-1.0, eps=0)):
        # Normalised first, because NumPy's norm squares.
        largest = np.abs(truly).max()
        assert_rows_within(gradient / largest, truly / largest, 1e-14)


def test_huge_rows_with_eps():
    x1, x2 = normal(10, (4, 6)) * 1e-200, normal(11, (4, 6)) * 1e200
    # The tiny row is negligible beside eps, so its cosine is about 0.
    assert_within(value(x1, x2, [1, -1, 1, -1], ms.float64, reduction='none'), np.array([1.0, 0, 1, 0]), 1e-180)


@pytest.mark.parametrize('dtype', [ms.float32, ms.float64], ids=str)
def test_a_large_norm_against_a_small_one(dtype):
    # The quotient of the squared norms leaves the range of the dtype, but no gradient does.
    large, small = {ms.float32: (1e17, 1e-15), ms.float64: (1e150, 1e-145)}[dtype]
    x1 = rounded(np.concatenate([normal(33, (4, 6)) * large, normal(33, (4, 6)) * small]), dtype)
    x2 = rounded(np.concatenate([normal(34, (4, 6)) * small, normal(34, (4, 6)) * large]), dtype)
    labels = signs(35, 8)
    found = gradients(x1, x2, labels, dtype, margin=-1.0, reduction='none', eps=0)
    for each, expected in zip(found, truth.gradients(x1, x2, labels, margin=-1.0, eps=0)):
        assert_rows_within(each, expected, 4 * UNIT[dtype] if dtype == ms.float32 else 1e-14)


def test_published_example_within_2e_9_of_the_truth():
    x1, x2 = (rounded(x, ms.float32) for x in ([[0.3, 0.8], [0.4, 0.3]], [[0.4, 1.2], [-0.4, -0.9]]))
    expected = truth.reduced(truth.pair_losses(x1, x2, [1, -1]), 'mean')
    assert abs(float(value(x1, x2, [1, -1])) - float(expected)) < 2e-9


@pytest.mark.parametrize('level', ['O0', 'O1', 'O2', 'O3', 'auto'])
def test_mixed_precision_keeps_float16_rows_from_overflowing(level):
    # The loss itself under mixed precision: in float16, the squares of these rows would be infinite.
    x1, x2 = np.full((2, 4), 300.0), np.array([[300.0, 300.0, 300.0, -300.0]] * 2)
    loss = amp.auto_mixed_precision(CosineEmbeddingLoss(reduction='none', margin=-0.5), level)
    for dtype in (ms.float16, ms.float32):
        inputs = tensor(x1, dtype), tensor(x2, dtype), tensor([1, -1], ms.int32)
        np.testing.assert_array_equal(array(loss(*inputs)), [0.5, 1.0])
        for each in ms.grad(loss, (0, 1))(*inputs):
            assert np.isfinite(array(each)).all()
            assert np.abs(array(each)).max() > 0


def test_to_float():
    loss = CosineEmbeddingLoss(reduction='none').to_float(ms.float16)
    inputs = tensor(np.full((2, 4), 300.0), ms.float32), tensor(np.full((2, 4), -300.0), ms.float32)
    np.testing.assert_array_equal(array(loss(*inputs, tensor([1, -1], ms.int32))), [2.0, 0.0])


def test_any_number_of_threads_gives_the_same_bits():
    x1, x2 = (tensor(normal(seed, (700, 300), ms.float32), ms.float32) for seed in (12, 13))
    labels = tensor(signs(14, 700), ms.int32)
    forward = native._forward

    def loss(first, second, margin, settings):
        return forward(first, second, labels, settings, margin)

    results = []
    for threads in (1, 2):
        value, found = ms.value_and_grad(loss, (0, 1, 2))(x1, x2, tensor(0.1, ms.float64),
                                                          native._packed(1e-12, 'mean', 1, threads))
        results.append([each.asnumpy() for each in (value, *found)])
    for one, two in zip(*results):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(('shape1', 'shape2', 'axis', 'dtype'), [
    ((1, 700, 300), (5, 700, 300), 2, ms.float32), ((700, 300, 2), (700, 300, 1), 1, ms.bfloat16),
    ((3, 400, 1, 150), (3, 400, 7, 150), 1, ms.float16), ((1, 1500), (300, 1500), 1, ms.float32),
    ((300, 1500), (1, 1500), 1, ms.float16), ((1500, 1), (1500, 300), 0, ms.bfloat16)])
def test_large_broadcasts(shape1, shape2, axis, dtype):
    # Large enough for several threads; the last three are summed in parts.
    x1, x2 = normal(15, shape1, dtype), normal(16, shape2, dtype)
    labels_shape = tuple(np.delete(np.broadcast_shapes(shape1, shape2), axis))
    labels = signs(17, labels_shape)
    settings = {'reduction': 'sum', 'axis': axis, 'margin': 0.02}
    # The expected results are those of the same pairs without broadcasting in float64, which other tests check.
    whole = value_and_gradients(*np.broadcast_arrays(x1, x2), labels, ms.float64, **settings)
    total, *found = value_and_gradients(x1, x2, labels, dtype, **settings)
    assert_within(total, whole[0], tolerance(whole[0], dtype))
    for gradient, each in zip(found, whole[1:]):
        repeated = tuple(i for i, length in enumerate(gradient.shape) if length != each.shape[i])
        assert_rows_within(gradient, each.sum(repeated, keepdims=True), 4 * UNIT[dtype], axis=axis)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_vectors_side_by_side(dtype):
    # Two whole blocks of 64 and half a block, in which pairs with and without a gradient alternate.
    x1, x2 = normal(18, (40, 160), dtype), normal(19, (40, 160), dtype)
    x1[:, ::7] = rounded(x1[:, ::7] / 64, dtype)
    labels = signs(20, (160,))
    labels[::5] = 0
    x1[3, 5], x2[3, 10] = np.nan, np.inf
    upstream = normal(21, (160,), dtype)
    settings = {'margin': 0.125, 'axis': 0, 'reduction': 'none'}
    losses, *found = value_and_gradients(x1, x2, labels, dtype, upstream=upstream, **settings)
    finite = [np.where(np.isfinite(x), x, 0) for x in (x1, x2)]
    expected = pair_losses(*finite, labels, margin=0.125, axis=0).astype(np.float64)
    assert_within(losses, expected, tolerance(expected, dtype))
    for gradient, each in zip(found, pair_gradients(*finite, labels, upstream, margin=0.125, axis=0)):
        assert_rows_within(gradient, each, 4 * UNIT[dtype], axis=0)


def test_batches_of_many_sizes_one_after_the_other():
    loss = CosineEmbeddingLoss(reduction='none')
    for rows in (5, 3, 8, 1):
        x1, x2, labels = normal(rows, (rows, 4), ms.float32), normal(rows + 1, (rows, 4), ms.float32), np.ones(rows)
        expected = truth.pair_losses(x1, x2, labels).astype(np.float64)
        found = array(loss(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)))
        assert_within(found, expected, tolerance(expected, ms.float32))


@pytest.mark.usefixtures('mode')
def test_more_axes_than_the_kernel_has_room_for():
    # NumPy supports at most 32 axes.
    x1, x2, labels = Tensor([3.0, 4.0]), Tensor([4.0, 3.0]), Tensor([1])
    for rank in (32, 33):
        ones = (1,) * (rank - 1)
        inputs = x1.reshape((*ones, 2)), x2.reshape((*ones, 2)), labels.reshape(ones)
        if rank > 32:
            with pytest.raises(RuntimeError, match="'native' cannot run: it takes logits of at most 32 axes"):
                CosineEmbeddingLoss(axis=-1)(*inputs)
        with use_implementation('auto' if rank > 32 else 'native'):
            # 4 ulp of 1 in float32, the tolerance of plain.
            assert abs(float(CosineEmbeddingLoss(axis=-1)(*inputs)) - 0.04) <= 4 * UNIT[ms.float32]


def test_status_names_what_ran():
    inputs = tensor(normal(1, (3, 4), ms.float32), ms.float32), tensor(np.ones((3, 4)), ms.float32)
    CosineEmbeddingLoss()(*inputs, tensor(np.ones(3), ms.int32))
    assert ms_cosine_loss.get_implementation_status().last == 'native'
    with use_implementation('plain'):
        CosineEmbeddingLoss()(*inputs, tensor(np.ones(3), ms.int32))
    assert ms_cosine_loss.get_implementation_status().last == 'plain'


def test_a_compiled_graph_keeps_what_it_was_compiled_with(mode):
    loss = CosineEmbeddingLoss()
    # Parallel except for the last digits, which plain loses and native keeps.
    x1 = rounded(np.array([[1.0, 2.0, 3.0]]), ms.float32)
    x2 = rounded(np.array([[1.0, 2.0, 3.0001]]), ms.float32)
    inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor([1], ms.int32)
    native = float(loss(*inputs))
    assert native > 0
    with use_implementation('plain'):
        assert (float(loss(*inputs)) == native) == (mode == ms.GRAPH_MODE)


def test_export_and_load(mode, tmp_path):
    inputs = (tensor(normal(1, (3, 4), ms.float32), ms.float32), tensor(normal(2, (3, 4), ms.float32), ms.float32),
              tensor([1, -1, 1], ms.int32))
    loss = CosineEmbeddingLoss(margin=0.1)
    expected = float(loss(*inputs))
    file = str(tmp_path / 'loss.mindir')
    ms.export(loss, *inputs, file_name=file, file_format='MINDIR')
    # MindSpore runs loaded files in graph mode.
    ms.set_context(mode=ms.GRAPH_MODE)
    assert float(nn.GraphCell(ms.load(file))(*inputs)) == expected
    assert b'libms_cosine_loss.so' in (tmp_path / 'loss.mindir').read_bytes()
    with use_implementation('plain'):
        plain = str(tmp_path / 'plain.mindir')
        ms.export(CosineEmbeddingLoss(margin=0.1), *inputs, file_name=plain, file_format='MINDIR')
    assert b'libms_cosine_loss.so' not in (tmp_path / 'plain.mindir').read_bytes()
    # Plain may be off by 4 ulp of 1, native by a fraction of one.
    assert abs(float(nn.GraphCell(ms.load(plain))(*inputs)) - expected) < 5 * UNIT[ms.float32]


def test_gradient_through_vmap():
    x1, x2, labels = normal(1, (3, 4, 5)), normal(2, (3, 4, 5)), signs(3, (3, 4))
    loss = CosineEmbeddingLoss(reduction='sum', margin=-1.0)

    def total(x1, x2, labels):
        return ms.vmap(loss, (0, 0, 0))(x1, x2, labels).sum()

    inputs = tensor(x1, ms.float64), tensor(x2, ms.float64), tensor(labels, ms.int32)
    expected = truth.gradients(x1.reshape(12, 5), x2.reshape(12, 5), labels.reshape(12), margin=-1.0)
    found = ms.grad(total, (0, 1))(*inputs)
    for each, truly in zip(found, expected):
        assert_rows_within(array(each).reshape(12, 5), truly, 1e-14)


@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize('reduction', ['none', 'mean'])
def test_a_loss_is_rounded_to_half_once_and_ties_to_even(dtype, reduction):
    # The cosine of a row of zeros is 0, so the loss is minus the margin, which can be any number.
    spacing = UNIT[dtype] / 2
    for steps, beyond, nearest in ((0, 0.0, 0), (1, 0.0, 2), (0, 2.0 ** -40, 1), (1, -2.0 ** -40, 1)):
        loss = 0.5 + (steps + 0.5) * spacing + beyond
        found = value(np.zeros((1, 3)), np.ones((1, 3)), np.array([-1]), dtype, margin=-loss, reduction=reduction)
        assert float(found.item()) == 0.5 + nearest * spacing


def test_the_gradient_of_an_anchor_is_summed_beyond_float64():
    # Equal gradients, whose partial sums are all rounded to the same side: 1e5 roundings would exceed 1e-12.
    anchor, row = np.abs(normal(21, (1, 3))), np.abs(normal(22, (1, 3)))
    found = gradients(anchor, np.repeat(row, 99_999, 0), np.ones(99_999), ms.float64)[0]
    # The tolerance of a single gradient: half a dozen roundings.
    assert_rows_within(found, pair_gradients(anchor, row, np.array([1]))[0], 8 * UNIT[ms.float64])


@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_nearly_parallel_halves(dtype):
    # float32 rounds all partial sums of constant rows to the same side: too inaccurate for 1 - cos from 2**-11 down to
    # 2**-17, and for the gradient of a dissimilar pair, whose two terms cancel too.
    x1 = np.full((8, 1024), 1.0 + 45 / 64)
    x2 = rounded(x1 * (1 + np.repeat(2.0 ** -np.arange(4, 8), 2)[:, None] * (np.arange(1024) % 2)), dtype)
    labels, upstream = np.array([1, -1] * 4), 1024.0
    losses, *found = value_and_gradients(x1, x2, labels, dtype, np.full(8, upstream), reduction='none')
    expected = pair_losses(x1, x2, labels)
    assert_within(losses, expected, tolerance(expected, dtype))
    # Against float64, which other tests check against the truth: differences of 50 digits take minutes here.
    for gradient, truly in zip(found, gradients(x1, x2, labels, ms.float64, np.full(8, upstream), reduction='none')):
        # Rounding each element to half precision costs up to 0.5 ulp; the rest is for the computation.
        assert_rows_within(gradient, truly, 0.6 * UNIT[dtype])


@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_the_gradient_of_halves_is_rounded_to_nearest_in_whole_rows_and_their_rest(dtype):
    # Lengths around multiples of the register width.
    for length in (1, 15, 31, 32, 33, 63, 64, 65, 127, 129):
        x1, x2, labels = normal(length, (3, length), dtype), normal(length + 1, (3, length), dtype), np.ones(3)
        found = gradients(x1, x2, labels, dtype, reduction='none')
        for each, expected, rows in zip(found, pair_gradients(x1, x2, labels), (x1, x2)):
            # Rounded to the nearest half, from a float32 within 2.3 ulp by norm.
            in_floats = 2.3 * UNIT[ms.float32] / np.linalg.norm(rows, axis=1, keepdims=True)
            assert_within(each, expected, 0.5 * ulp(expected, dtype) + in_floats)
        assert_within(value(x1, x2, labels, dtype, reduction='none'), pair_losses(x1, x2, labels).astype(np.float64),
                      tolerance(pair_losses(x1, x2, labels).astype(np.float64), dtype))


def test_gradient_of_dissimilar_halves_down_to_1e_9():
    # Constant rows, whose partial sums float32 would round to one side, a different one for each of the three sums.
    rng = np.random.default_rng(3)
    x1, x2 = (rounded(rng.uniform(1, most, (100, 1)), ms.float16) * np.ones((1, 1024)) for most in (2, 1.35))
    x2[:, :4] += UNIT[ms.float16]
    labels, upstream = np.full(100, -1), 2.0 ** 15
    found = gradients(x1, x2, labels, ms.float16, upstream, reduction='sum')
    # Against float64: differences of 50 digits take minutes at this length.
    for each, truly in zip(found, gradients(x1, x2, labels, ms.float64, upstream, reduction='sum')):
        assert_rows_within(each, truly, 4 * UNIT[ms.float16])


@pytest.mark.parametrize(('scale', 'eps'), [(2.0 ** -9, 1e-2), (2.0 ** -11, 3e-4)])
def test_gradient_of_nearly_parallel_halves_whose_cosine_eps_hides(scale, eps):
    # eps is about the squared norm of the second row: the cosine is 0.6, but the terms of the gradient still cancel.
    x1, x2 = np.full((1, 1024), 1.943359375), np.full((1, 1024), 1.3408203125)
    x2[:, :4] += UNIT[ms.float16]
    inputs, upstream = (x1, x2 * scale, np.ones(1)), 2.0 ** 15
    found = gradients(*inputs, ms.float16, upstream, reduction='sum', eps=eps)
    # Against float64: differences of 50 digits take minutes at this length.
    for each, truly in zip(found, gradients(*inputs, ms.float64, upstream, reduction='sum', eps=eps)):
        assert_rows_within(each, truly, 4 * UNIT[ms.float16])


def test_the_derivative_by_the_upstream_gradient_is_summed_beyond_float64():
    # The gradient of each pair is its second vector, whose products with the directions are the terms of the sum.
    x1, x2, labels = np.tile([1.0, 0.0], (3, 1)), np.tile([0.0, 1.0], (3, 1)), tensor(-np.ones(3), ms.int32)
    x1, x2, directions = (tensor(each, ms.float64) for each in (x1, x2, [[0.0, 2.0 ** -60], [0.0, -1.0], [0.0, 1.0]]))
    loss = CosineEmbeddingLoss(margin=-0.5, reduction='sum', eps=0)

    def weighted(first, weight):
        return loss(first, x2, labels) * weight

    def along(first, weight):
        return ms.grad(weighted)(first, weight) * directions

    assert float(ms.grad(along, 1)(x1, Tensor(1.0, ms.float64))) == 2.0 ** -60
