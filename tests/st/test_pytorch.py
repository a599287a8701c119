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
"""Values, gradients and second derivatives against PyTorch's: stored ones, and live ones if torch is installed."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss
from tests import truth
from tests.goldens import make_pytorch_goldens
from tests.st.evaluation import UNIT, Weighted, norms

GOLDENS = make_pytorch_goldens.load()

# PyTorch stores its eps in float32; with the same eps, the two losses are the same function.
PYTORCH_EPS = float(np.float32(1e-12))

# Each loss may be off by 4 ulp of 1, and PyTorch's by about as much. `_assert_values_agree` scales sums.
VALUE_ULPS = 8

# A gradient is the difference of two terms of size `_gradient_scale`, each with a few roundings.
GRADIENT_ULPS = 16

# The second derivative adds some ten such terms.
CURVATURE_ULPS = 64


@pytest.fixture(scope='module')
def torch():
    """PyTorch, for the live tests of this file; its stored results are in the goldens."""
    return pytest.importorskip('torch')


class _Squared(nn.Cell):
    """The squared losses; differentiation sums them, which avoids MindSpore's own reductions."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, logits_x1, logits_x2, labels):
        losses = self.loss(logits_x1, logits_x2, labels)
        return losses * losses


class _SlopeAlong(nn.Cell):
    """The gradient times a direction, element by element; its own gradient is the Hessian times the direction."""

    def __init__(self, function):
        super().__init__()
        self.gradient = ms.grad(function, grad_position=(0, 1))

    def construct(self, logits_x1, logits_x2, labels, direction1, direction2):
        gradient1, gradient2 = self.gradient(logits_x1, logits_x2, labels)
        return gradient1 * direction1 + gradient2 * direction2


def _loss(case, eps=PYTORCH_EPS):
    return CosineEmbeddingLoss(case['margin'], case['reduction'], eps=eps)


def _logits_and_labels(case, dtype):
    return Tensor(case['x1'], dtype), Tensor(case['x2'], dtype), Tensor(case['labels'], ms.int32)


def _value(case, dtype, loss):
    return loss(*_logits_and_labels(case, dtype)).asnumpy().astype(np.float64)


def _gradient_of(function):
    """Returns the gradient function; make it once for all cases of a shape, because its graphs belong to it."""
    return ms.grad(function, grad_position=(0, 1))


def _gradients(case, dtype, gradient):
    upstream = Tensor(case['upstream'] if case['reduction'] == 'none' else 1.0, dtype)
    results = gradient(*_logits_and_labels(case, dtype), upstream)
    return [result.asnumpy().astype(np.float64) for result in results]


def _curvatures(case, dtype, curvature):
    results = curvature(
        *_logits_and_labels(case, dtype), Tensor(case['direction1'], dtype), Tensor(case['direction2'], dtype))
    return [result.asnumpy().astype(np.float64) for result in results]


def _weights(case):
    """The magnitude of the factor by which each pair's loss is multiplied before it is differentiated."""
    labels = np.atleast_1d(case['labels'])
    if case['reduction'] == 'none':
        return np.abs(np.atleast_1d(case['upstream']))
    return np.full(labels.shape, 1 / labels.size if case['reduction'] == 'mean' else 1.0)


def _gradient_scale(case, x, weights):
    """The largest possible norm of each pair's gradient; absolute errors scale with it, however small the gradient."""
    return weights / np.sqrt(norms(case[x]) ** 2 + PYTORCH_EPS)


def _assert_gradients_agree(actual, case, answers, ulp):
    weights = _weights(case)
    for gradient, name, x in zip(actual, ('gradient1', 'gradient2'), ('x1', 'x2')):
        assert gradient.shape == answers[name].shape
        allowed = GRADIENT_ULPS * ulp * _gradient_scale(case, x, weights)
        assert (norms(gradient - answers[name]) <= allowed).all()


def _assert_curvatures_agree(actual, case, answers, ulp):
    weights = np.ones(_weights(case).shape) if case['reduction'] == 'none' else _weights(case)
    scales = [_gradient_scale(case, x, weights) for x in ('x1', 'x2')]
    along = sum(scale * norms(case[direction]) for scale, direction in zip(scales, ('direction1', 'direction2')))
    if case['reduction'] != 'none':
        along = along.sum()
    for curvature, name, scale in zip(actual, ('curvature1', 'curvature2'), scales):
        assert curvature.shape == answers[name].shape
        allowed = CURVATURE_ULPS * ulp * scale * along * (1 + np.atleast_1d(answers['value']) / weights)
        assert (norms(curvature - answers[name]) <= allowed).all()


def _assert_values_agree(actual, answers, ulp, pairs=make_pytorch_goldens.ROWS):
    assert actual.shape == answers['value'].shape
    # A sum of n losses may have n times the error.
    per_pair = 1 if answers['value'].ndim else pairs
    np.testing.assert_allclose(actual, answers['value'], rtol=0, atol=VALUE_ULPS * ulp * per_pair)


@pytest.fixture(params=GOLDENS['cases'].values(), ids=GOLDENS['cases'].keys())
def golden(request):
    """Each stored case: its inputs and PyTorch's results."""
    return request.param


def test_golden_values(mode, implementation, golden):
    _assert_values_agree(_value(golden, ms.float64, _loss(golden)), golden, UNIT[ms.float64])


@pytest.mark.parametrize('name', ['zero rows none', 'tiny norms none', 'tiny norms sum'])
def test_golden_values_with_the_default_eps(mode, implementation, name):
    # PyTorch's eps is smaller by a relative 4e-9, and a cosine changes by no larger fraction than eps does.
    golden = GOLDENS['cases'][name]
    atol = 4e-9 if golden['value'].ndim else 4e-9 * make_pytorch_goldens.ROWS
    np.testing.assert_allclose(_value(golden, ms.float64, _loss(golden, 1e-12)), golden['value'], rtol=0, atol=atol)


def test_golden_gradients(mode, implementation, golden):
    gradient = _gradient_of(Weighted(_loss(golden)))
    _assert_gradients_agree(_gradients(golden, ms.float64, gradient), golden, golden, UNIT[ms.float64])


@pytest.mark.parametrize('name', ['ordinary sum', 'zero rows none', 'nearly parallel mean', 'tiny norms none'])
def test_golden_values_and_gradients_in_float32(mode, implementation, name):
    golden = GOLDENS['cases'][name]
    _assert_values_agree(_value(golden, ms.float32, _loss(golden)), golden, UNIT[ms.float32])
    gradient = _gradient_of(Weighted(_loss(golden)))
    _assert_gradients_agree(_gradients(golden, ms.float32, gradient), golden, golden, UNIT[ms.float32])


# Every kind of rows and every reduction.
@pytest.mark.parametrize('name', ['ordinary sum', 'margin 0.3 none', 'margin 0.5 mean', 'zero rows none',
                                  'nearly parallel mean', 'tiny norms sum', 'unbatched none'])
def test_golden_second_derivatives(mode, implementation, name):
    golden = GOLDENS['cases'][name]
    curvature = _gradient_of(_SlopeAlong(_Squared(_loss(golden))))
    _assert_curvatures_agree(_curvatures(golden, ms.float64, curvature), golden, golden, UNIT[ms.float64])


def test_golden_values_of_the_function_in_a_graph(implementation):
    # The margin is a constant of the graph here, and a graph may store a Python float as float32.
    golden = GOLDENS['cases']['margin 0.3 none']

    @ms.jit
    def function(logits_x1, logits_x2, labels):
        return cosine_embedding_loss(logits_x1, logits_x2, labels, 0.3, 'none', eps=PYTORCH_EPS)

    _assert_values_agree(_value(golden, ms.float64, function), golden, UNIT[ms.float64])


def test_goldens_know_where_they_come_from():
    assert GOLDENS['seed'] == make_pytorch_goldens.SEED
    assert GOLDENS['torch'][0].isdigit()
    assert GOLDENS['cases'].keys() == make_pytorch_goldens.CASES.keys()


def test_goldens_are_what_pytorch_answers(torch):
    rng = np.random.default_rng(GOLDENS['seed'])
    for name, settings in make_pytorch_goldens.CASES.items():
        case, golden = make_pytorch_goldens.draw(*settings, rng), GOLDENS['cases'][name]
        for key, drawn in case.items():
            assert np.array_equal(drawn, golden[key])
        # Another version or processor may round differently.
        answers = make_pytorch_goldens.answer(case)
        _assert_values_agree(answers['value'], golden, UNIT[ms.float64])
        _assert_gradients_agree([answers['gradient1'], answers['gradient2']], case, golden, UNIT[ms.float64])
        _assert_curvatures_agree([answers['curvature1'], answers['curvature2']], case, golden, UNIT[ms.float64])
    for dtype, value in GOLDENS['published'].items():
        assert abs(make_pytorch_goldens.published_example(dtype) - value) <= (1e-7 if dtype == 'float32' else 1e-15)


@pytest.mark.parametrize(('kind', 'reduction', 'margin', 'dtype'), [
    ('ordinary', 'none', 0.25, ms.float32), ('zero rows', 'mean', 0.0, ms.float64),
    ('nearly parallel', 'sum', 0.5, ms.float32)])
def test_live_values_and_derivatives(torch, mode, implementation, kind, reduction, margin, dtype):
    rows, length = 7, 19
    loss = CosineEmbeddingLoss(margin, reduction, eps=PYTORCH_EPS)
    gradient, curvature = _gradient_of(Weighted(loss)), _gradient_of(_SlopeAlong(_Squared(loss)))
    for seed in (11, 12, 13):
        case = make_pytorch_goldens.draw(kind, reduction, margin, np.random.default_rng(seed), rows, length)
        answers = make_pytorch_goldens.answer(case)
        _assert_values_agree(_value(case, dtype, loss), answers, UNIT[dtype], rows)
        _assert_gradients_agree(_gradients(case, dtype, gradient), case, answers, UNIT[dtype])
        _assert_curvatures_agree(_curvatures(case, ms.float64, curvature), case, answers, UNIT[ms.float64])


def _theirs(torch, x1, x2, labels, dtype, **settings):
    return torch.nn.functional.cosine_embedding_loss(
        torch.tensor(x1, dtype=getattr(torch, dtype)), torch.tensor(x2, dtype=getattr(torch, dtype)),
        torch.tensor(labels), **settings)


def _their_gradient(torch, x1, x2, labels, dtype):
    x1 = torch.tensor(x1, dtype=getattr(torch, dtype), requires_grad=True)
    torch.nn.functional.cosine_embedding_loss(
        x1, torch.tensor(x2, dtype=getattr(torch, dtype)), torch.tensor(labels), reduction='sum').backward()
    return x1.grad.double().numpy()


def _ours(x1, x2, labels, dtype, **settings):
    dtype = getattr(ms, dtype)
    result = CosineEmbeddingLoss(**settings)(Tensor(x1, dtype), Tensor(x2, dtype), Tensor(labels, ms.int32))
    return result.astype(ms.float32 if dtype == ms.bfloat16 else dtype).asnumpy()


def _our_gradient(x1, x2, labels, dtype, upstream=1.0):
    dtype = getattr(ms, dtype)
    gradient = ms.grad(Weighted(CosineEmbeddingLoss(reduction='sum')))(
        Tensor(x1, dtype), Tensor(x2, dtype), Tensor(labels, ms.int32), Tensor(upstream, dtype))
    return gradient.astype(ms.float32 if dtype == ms.bfloat16 else dtype).asnumpy().astype(np.float64)


def test_pytorch_has_nan_for_a_zero_row_in_float16(torch, mode, implementation):
    # 1e-12 is 0 in float16.
    zeros, ones, labels = [[0.0] * 4] * 2, [[1.0] * 4] * 2, [1, -1]
    assert _theirs(torch, zeros, ones, labels, 'float16', reduction='none').isnan().all()
    assert np.isnan(_their_gradient(torch, zeros, ones, labels, 'float16')).all()

    assert _ours(zeros, ones, labels, 'float16', reduction='none').tolist() == [1.0, 0.0]
    # 5e5 by definition, which overflows float16 without the weight; rounded to float16 twice (1/1024).
    gradient = _our_gradient(zeros, ones, labels, 'float16', upstream=2.0 ** -6)
    np.testing.assert_allclose(gradient, [[-5e5 * 2.0 ** -6] * 4, [5e5 * 2.0 ** -6] * 4], rtol=2e-3)


@pytest.mark.parametrize(('dtype', 'norm', 'rtol'), [
    # The squared norms are in range, but their product is not; in float16 from a norm of 16. float16 and bfloat16 round
    # the result (and 0.6 and 0.8 to half an ulp); float32 and float64 have a few roundings.
    ('float16', 20.0, 2.0 ** -9), ('bfloat16', 1e10, 2.0 ** -6), ('float32', 1e10, 1e-6), ('float64', 1e80, 2e-15)])
def test_pytorch_has_wrong_values_and_no_gradient_for_large_vectors(torch, mode, implementation, dtype, norm, rtol):
    x1, x2, labels = [[norm, 0.0]] * 2, [[0.6 * norm, 0.8 * norm]] * 2, [1, -1]
    assert _theirs(torch, x1, x2, labels, dtype, reduction='none').tolist() == [1.0, 0.0]
    assert not _their_gradient(torch, x1, x2, labels, dtype).any()

    np.testing.assert_allclose(_ours(x1, x2, labels, dtype, reduction='none'), [0.4, 0.6], rtol=rtol)
    # The gradient of the cosine with respect to the first vector is orthogonal to it: 0.8 / norm along the second axis.
    expected = np.array([[0.0, -0.8], [0.0, 0.8]]) / norm
    np.testing.assert_allclose(_our_gradient(x1, x2, labels, dtype), expected, rtol=rtol, atol=rtol / norm)


@pytest.mark.parametrize(('dtype', 'norm'), [('float32', 1e30), ('float64', 1e200)])
def test_pytorch_has_nan_where_squares_overflow(torch, dtype, norm):
    # Beyond the documented limits of plain too; tested here to notice a change in PyTorch.
    x1, x2, labels = [[norm, 0.0]] * 2, [[0.6 * norm, 0.8 * norm]] * 2, [1, -1]
    assert _theirs(torch, x1, x2, labels, dtype, reduction='none').isnan().all()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
def test_pytorch_has_negative_losses(torch, mode, implementation, dtype):
    x1 = np.random.default_rng(5).normal(size=(5000, 64)).astype(np.float32)
    labels = np.ones(5000, np.int64)
    assert (_theirs(torch, x1, 3 * x1, labels, dtype, reduction='none') < 0).any()

    losses = _ours(x1, 3 * x1, labels, dtype, reduction='none')
    assert (losses >= 0).all()


def test_pytorch_refuses_labels_with_an_axis_too_many(torch, mode, implementation):
    x1, x2, labels = [[1.0, 0.0]] * 2, [[0.6, 0.8]] * 2, [[1], [-1]]
    with pytest.raises(RuntimeError, match='0D or 1D target tensor expected'):
        _theirs(torch, x1, x2, labels, 'float32')

    with pytest.raises(ValueError, match=r"the 'labels' must have shape \(2,\), but got \(2, 1\)"):
        _ours(x1, x2, labels, 'float32')


def test_pytorch_has_no_axis(torch, mode, implementation):
    rng = np.random.default_rng(6)
    x1, x2 = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 5))
    labels = rng.choice([-1, 1], size=(2, 3))
    with pytest.raises(RuntimeError, match='multi-target not supported'):
        _theirs(torch, x1, x2, labels, 'float64', reduction='none')

    losses = _ours(x1, x2, labels, 'float64', reduction='none', axis=-1)
    np.testing.assert_allclose(losses, truth.pair_losses(x1, x2, labels, axis=-1).astype(np.float64),
                               rtol=0, atol=4 * UNIT[ms.float64])


def test_pytorch_lets_an_ignored_row_spoil_the_gradient(torch, mode, implementation):
    x1, x2, labels = [[np.nan, 1.0], [3.0, 4.0]], [[1.0, 1.0], [5.0, 0.0]], [0, 1]
    assert _theirs(torch, x1, x2, labels, 'float32', reduction='sum').isfinite()
    assert np.isnan(_their_gradient(torch, x1, x2, labels, 'float32')[0]).all()

    gradient = _our_gradient(x1, x2, labels, 'float32')
    assert gradient[0].tolist() == [0.0, 0.0]
    # -(x2 / |x1||x2|) + cos x1 / |x1|²  =  -(0.2, 0) + 0.6 (0.12, 0.16); 1e-7 is one rounding of the larger term.
    np.testing.assert_allclose(gradient[1], [-0.128, 0.096], rtol=0, atol=1e-7)


@pytest.mark.parametrize(('dtype1', 'dtype2', 'promoted'), [
    ('int64', 'int64', 'float32'), ('float32', 'int64', 'float32'), ('float16', 'float32', 'float32'),
    ('float32', 'float64', 'float64')])
def test_pytorch_promotes_what_is_refused_here(torch, mode, implementation, dtype1, dtype2, promoted):
    x1, x2, labels = [[3, 4]], [[4, 3]], [-1]
    theirs = torch.nn.functional.cosine_embedding_loss(
        torch.tensor(x1, dtype=getattr(torch, dtype1)), torch.tensor(x2, dtype=getattr(torch, dtype2)),
        torch.tensor(labels))
    assert theirs.dtype == getattr(torch, promoted)
    assert theirs.item() == pytest.approx(0.96)

    with pytest.raises(TypeError, match='dtype'):
        CosineEmbeddingLoss()(Tensor(x1, getattr(ms, dtype1)), Tensor(x2, getattr(ms, dtype2)), Tensor(labels))


@pytest.mark.parametrize('dtype', ['bool', 'uint8'])
def test_pytorch_takes_labels_that_cannot_be_dissimilar(torch, mode, implementation, dtype):
    x1, x2 = [[3.0, 4.0]], [[4.0, 3.0]]
    theirs = torch.nn.functional.cosine_embedding_loss(torch.tensor(x1), torch.tensor(x2),
                                                       torch.tensor([0]).to(getattr(torch, dtype)))
    assert theirs.item() == 0

    with pytest.raises(TypeError, match="the 'labels' must have a dtype in"):
        CosineEmbeddingLoss()(Tensor(x1), Tensor(x2), Tensor([0], getattr(ms, 'bool_' if dtype == 'bool' else dtype)))


@pytest.mark.parametrize('margin', [5.0, float('nan')])
def test_pytorch_takes_any_margin(torch, margin):
    # Its documentation requires -1 to 1.
    x = [[1.0, 2.0]]
    assert _theirs(torch, x, x, [-1], 'float32', margin=margin).item() != pytest.approx(1.0)

    with pytest.raises(ValueError, match="the 'margin' must be in"):
        CosineEmbeddingLoss(margin)
