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
"""A margin that is a Tensor: known only at run time, scheduled or learned."""
import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss, _select, cosine_embedding_loss
from tests import truth
from tests.st.evaluation import (
    DTYPES,
    UNIT,
    array,
    assert_rows_within,
    assert_within,
    normal,
    pair_gradients,
    pair_losses,
    rounded,
    signs,
    tensor,
    tolerance,
)

pytestmark = pytest.mark.usefixtures('mode', 'implementation')

SHAPE = (6, 5)
MARGINS = [ms.float16, ms.bfloat16, ms.float32, ms.float64]


def _inputs(dtype=ms.float32):
    return normal(1, SHAPE, dtype), normal(2, SHAPE, dtype), signs(3, SHAPE[:1])


def _tensors(x1, x2, labels, dtype=ms.float32):
    return tensor(x1, dtype), tensor(x2, dtype), tensor(labels, ms.int32)


def _open_hinges(x1, x2, labels, margin):
    return (labels == -1) & (pair_losses(x1, x2, labels, margin=margin) > 0)


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_value_and_gradients(dtype, reduction):
    x1, x2, labels = _inputs(dtype)
    margin = float(rounded(-0.3, ms.float16))
    # Exact in every dtype, because the upstream gradient has the dtype of the loss.
    weights = normal(4, labels.shape if reduction == 'none' else (), ms.bfloat16)

    def weighted(first, second, targets, bound, factors):
        losses = cosine_embedding_loss(first, second, targets, bound, reduction)
        return losses.astype(factors.dtype) * factors, losses

    factors = tensor(weights, ms.float64 if dtype == ms.float64 else ms.float32)
    differentiated = ms.value_and_grad(weighted, (0, 1, 3), has_aux=True)
    (_, losses), found = differentiated(*_tensors(x1, x2, labels, dtype), tensor(margin, ms.float32), factors)
    expected = truth.reduced(pair_losses(x1, x2, labels, margin=margin), reduction)
    assert losses.dtype == dtype
    assert_within(array(losses), expected, tolerance(expected, dtype, 1 if reduction == 'none' else 6))
    upstream = np.broadcast_to(weights / (6 if reduction == 'mean' else 1), labels.shape)
    # 8 ulp: the contract has 4 for native; plain rounds a half gradient once more and is allowed 1e-6 in float32.
    for gradient, truly in zip(found, pair_gradients(x1, x2, labels, upstream, margin=margin)):
        assert_rows_within(array(gradient), truly, max(8 * UNIT[dtype], 1e-6 if dtype != ms.float64 else 0))
    by_margin = -upstream[_open_hinges(x1, x2, labels, margin)].sum()
    assert by_margin != 0
    assert (found[2].dtype, found[2].shape) == (ms.float32, ())
    # A sum of three float32, each rounded once.
    assert_within(array(found[2]), by_margin, 4 * UNIT[ms.float32] * np.abs(upstream).sum())


@pytest.mark.parametrize('dtype', MARGINS, ids=str)
def test_dtypes_of_the_margin(dtype):
    x1, x2, labels = _inputs()
    # -0.3 rounded to the dtype: the four margins differ by more than the tolerance.
    margin = float(rounded(-0.3, dtype))
    inputs = _tensors(x1, x2, labels)

    def loss(bound):
        return cosine_embedding_loss(*inputs, bound, 'sum')

    value, gradient = ms.value_and_grad(loss)(tensor(margin, dtype))
    expected = truth.reduced(pair_losses(x1, x2, labels, margin=margin), 'sum')
    assert_within(array(value), expected, tolerance(expected, ms.float32, 6))
    assert gradient.dtype == dtype
    assert array(gradient) == -_open_hinges(x1, x2, labels, margin).sum()


def test_hinge_is_open_where_the_cosine_is_the_margin():
    # With eps 0 the cosine is exactly 1.
    x, labels = tensor([[3.0, 4.0]], ms.float32), tensor([-1], ms.int32)

    def loss(bound):
        return cosine_embedding_loss(x, x, labels, bound, 'sum', eps=0.0)

    assert array(ms.grad(loss)(tensor(1.0, ms.float32))) == -1


def test_one_compile_serves_every_margin(monkeypatch):
    x1, x2, labels = _inputs()
    inputs = _tensors(x1, x2, labels)
    chosen = []

    def counted(*arguments):
        # A graph chooses its implementation while it is compiled.
        chosen.append(select(*arguments))
        return chosen[-1]

    select = _select.select
    monkeypatch.setattr(_select, 'select', counted)
    step = ms.jit(cosine_embedding_loss)
    for margin in (-0.5, 0.0, 0.5):
        expected = truth.reduced(pair_losses(x1, x2, labels, margin=margin), 'mean')
        assert_within(array(step(*inputs, tensor(margin, ms.float32))), expected, tolerance(expected, ms.float32, 6))
    assert len(chosen) == 1


def test_second_derivatives():
    x1, x2, labels = _inputs(ms.float64)
    inputs = _tensors(x1, x2, labels, ms.float64)
    margin = -0.3
    v1, v2 = (tensor(normal(seed, SHAPE), ms.float64) for seed in (5, 6))

    def squared(first, second, bound):
        # Nonlinear in the losses, so that no second derivative with respect to the margin vanishes.
        losses = cosine_embedding_loss(first, second, inputs[2], bound, 'none')
        return (losses * losses * losses).sum()

    def along(first, second, bound):
        by_x1, by_x2, by_margin = ms.grad(squared, (0, 1, 2))(first, second, bound)
        return (by_x1 * v1).sum() + (by_x2 * v2).sum() + 3.0 * by_margin

    found = ms.grad(along, (0, 1, 2))(inputs[0], inputs[1], tensor(margin, ms.float64))
    losses = pair_losses(x1, x2, labels, margin=margin).astype(np.float64)
    is_open = _open_hinges(x1, x2, labels, margin)

    def first_order(one, other, bound):
        values = pair_losses(one, other, labels, margin=bound).astype(np.float64)
        by_x1, by_x2 = pair_gradients(one, other, labels, 3 * values ** 2, margin=bound)
        return (by_x1 * array(v1)).sum() + (by_x2 * array(v2)).sum() - 9 * (values ** 2)[is_open].sum()

    # A central difference of first derivatives to 50 digits; its error is of order step**2.
    step = 1e-5
    by_margin = (first_order(x1, x2, margin + step) - first_order(x1, x2, margin - step)) / (2 * step)
    assert losses[is_open].size > 1
    assert_within(array(found[2]), by_margin, 1e-7 * abs(by_margin))
    for index, (x, gradient) in enumerate(zip((x1, x2), found)):
        direction = normal(7, SHAPE)
        ahead, behind = ([x1, x2], [x1, x2])
        ahead[index], behind[index] = x + step * direction, x - step * direction
        expected = (first_order(*ahead, margin) - first_order(*behind, margin)) / (2 * step)
        assert_within((array(gradient) * direction).sum(), expected, 1e-7 * abs(expected))


@pytest.mark.parametrize('labels', [(1, 0, 1, 0, 1, 0), (-1,) * 6], ids=['no dissimilar pair', 'opposite vectors'])
def test_closed_hinges_give_the_margin_no_gradient(labels):
    x1, _, _ = _inputs()
    inputs = _tensors(x1, -x1, labels)

    def loss(bound):
        return cosine_embedding_loss(*inputs, bound)

    assert array(ms.grad(loss)(tensor(-0.75, ms.float32))) == 0


@pytest.mark.parametrize('shape1', [(1, 5), (6, 5)], ids=['broadcast', 'rows'])
@pytest.mark.parametrize('is_empty', [True, False], ids=['empty', 'full'])
def test_layouts(shape1, is_empty):
    x1, x2, labels = normal(1, shape1), normal(2, SHAPE), -np.ones(6)
    if is_empty:
        x2, labels = x2[:0], labels[:0]
        x1 = x1[:len(x1) % 6]
    inputs = _tensors(x1, x2, labels, ms.float64)

    def loss(bound):
        return cosine_embedding_loss(*inputs, bound, 'sum')

    value, gradient = ms.value_and_grad(loss)(tensor(-0.3, ms.float64))
    expected = truth.reduced(pair_losses(x1, x2, labels, margin=-0.3), 'sum')
    assert_within(array(value), expected, tolerance(expected, ms.float64, 6))
    full = np.broadcast_to(x1, x2.shape)
    assert array(gradient) == -_open_hinges(full, x2, labels, -0.3).sum()


class _Learned(nn.Cell):
    def __init__(self):
        super().__init__()
        self.margin = Parameter(Tensor(0.75, ms.float32), name='margin')

    def construct(self, x1, x2, labels):
        return cosine_embedding_loss(x1, x2, labels, self.margin) + self.margin * self.margin


def test_a_parameter_is_learned():
    x, _, _ = _inputs()
    network = _Learned()
    train = nn.TrainOneStepCell(network, nn.SGD(network.trainable_params(), 0.1))
    expected = 0.75
    for _ in range(3):
        # Every cosine is 1, so that every hinge is open.
        train(*_tensors(x, x, -np.ones(6)))
        expected -= 0.1 * (2 * expected - 1)
    assert_within(array(network.margin), expected, 8 * UNIT[ms.float32])


def test_vmap_over_margins():
    x1, x2, labels = _inputs()
    inputs = _tensors(x1, x2, labels)
    margins = np.array([-0.5, 0.0, 0.5])

    def loss(bound):
        return cosine_embedding_loss(*inputs, bound)

    found = ms.vmap(loss)(tensor(margins, ms.float32))
    expected = np.array([truth.reduced(pair_losses(x1, x2, labels, margin=each), 'mean') for each in margins])
    assert_within(array(found), expected, tolerance(expected, ms.float32, 6))


def test_the_cell_says_where_a_tensor_can_go():
    with pytest.raises(TypeError) as raised:
        CosineEmbeddingLoss(Tensor(0.5, ms.float32))
    assert str(raised.value) == ("For 'CosineEmbeddingLoss', the 'margin' must be a real number, but got Tensor. Pass "
                                 "a margin that is scheduled or learned to 'cosine_embedding_loss'.")


@pytest.mark.parametrize(('margin', 'error', 'text'), [
    (Tensor([0.5], ms.float32), ValueError,
     "the 'margin' must be a number or a Tensor of shape (), but got shape (1,)."),
    (Tensor(1, ms.int32), TypeError,
     "the 'margin' must have a dtype in [Float16, BFloat16, Float32, Float64], but got Int32.")],
    ids=['shape', 'dtype'])
def test_other_tensors_are_refused(margin, error, text):
    inputs = _tensors(*_inputs())

    class Loss(nn.Cell):
        def construct(self, x1, x2, labels, bound):
            return cosine_embedding_loss(x1, x2, labels, bound)

    with pytest.raises(error) as raised:
        Loss()(*inputs, margin)
    assert str(raised.value).split('\n')[0] == f"For 'CosineEmbeddingLoss', {text}"
