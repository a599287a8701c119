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
"""The loss as a Cell: copied, pickled, printed, trained with, under mixed precision, hooks, recompute and jit."""
import copy
import pickle

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, amp, nn

from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss
from tests import truth
from tests.st.evaluation import UNIT, array, assert_within, normal, signs, tensor, tolerance

pytestmark = pytest.mark.usefixtures('mode', 'implementation')

SETTINGS = {'margin': 0.25, 'reduction': 'sum', 'axis': -1, 'eps': 1e-3}


def _inputs(dtype=ms.float32):
    x1, x2 = (tensor(normal(seed, (6, 5), dtype), dtype) for seed in (1, 2))
    return x1, x2, tensor(signs(3, 6), ms.int32)


@pytest.mark.parametrize('replicate', [copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))],
                         ids=['copy', 'deepcopy', 'pickle'])
def test_replicas(replicate):
    inputs = _inputs()
    loss = CosineEmbeddingLoss(**SETTINGS)
    loss.set_train()
    expected = array(loss(*inputs))
    replica = replicate(loss)
    assert isinstance(replica, CosineEmbeddingLoss)
    assert {name: getattr(replica, name) for name in SETTINGS} == SETTINGS
    assert replica.training
    assert not replicate(loss.set_train(False)).training
    np.testing.assert_array_equal(array(replica(*inputs)), expected)


def test_printing_shows_the_settings():
    text = str(CosineEmbeddingLoss(**SETTINGS))
    assert text.startswith('CosineEmbeddingLoss')
    for setting in ('margin=0.25', "reduction='sum'", 'axis=-1', 'eps=0.001'):
        assert setting in text


def test_is_what_mindspore_finds_a_loss_by():
    loss = CosineEmbeddingLoss()
    assert isinstance(loss, nn.LossBase)
    assert isinstance(loss, nn.Cell)
    assert loss.parameters_dict() == {}


def test_margin_and_eps_as_integers_and_numpy_numbers():
    x1, x2, labels = _inputs()
    expected = truth.reduced(truth.pair_losses(array(x1), array(x2), array(labels), margin=-1, eps=1), 'mean')
    for margin, eps in ((-1, 1), (np.float32(-1), np.int64(1))):
        for loss in (CosineEmbeddingLoss(margin, eps=eps)(x1, x2, labels),
                     cosine_embedding_loss(x1, x2, labels, margin, eps=eps)):
            assert_within(array(loss), expected, tolerance(expected, ms.float32))


class _Towers(nn.Cell):
    """Two embeddings of one layer each, and their loss."""

    def __init__(self, weight1, weight2, loss):
        super().__init__()
        self.tower1 = nn.Dense(4, 3, weight_init=Tensor(weight1), has_bias=False)
        self.tower2 = nn.Dense(4, 3, weight_init=Tensor(weight2), has_bias=False)
        self.loss = loss

    def construct(self, x1, x2, labels):
        return self.loss(self.tower1(x1), self.tower2(x2), labels)


def _towers(loss):
    return _Towers(normal(4, (3, 4), ms.float32).astype(np.float32), normal(5, (3, 4), ms.float32).astype(np.float32),
                   loss)


def test_training_steps():
    x1, x2, labels = normal(6, (8, 4), ms.float32), normal(7, (8, 4), ms.float32), signs(8, 8)
    network = _towers(CosineEmbeddingLoss(margin=-0.5))
    # The loss scale of 1024 is taken back by the learning rate.
    step = nn.TrainOneStepCell(network, nn.SGD(network.trainable_params(), learning_rate=2.0 ** -11), sens=1024.0)
    step.set_train()
    weight1, weight2 = normal(4, (3, 4), ms.float32), normal(5, (3, 4), ms.float32)
    before = weight1.copy()
    for _ in range(3):
        found = step(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32))
        out1, out2 = x1 @ weight1.T, x2 @ weight2.T
        expected = truth.reduced(truth.pair_losses(out1, out2, labels, margin=-0.5), 'mean')
        # 4 units for the loss, and as many again for either of the layers before it.
        assert_within(array(found), expected, 12 * UNIT[ms.float32])
        gradient1, gradient2 = truth.gradients(out1, out2, labels, np.full(8, 1 / 8), margin=-0.5)
        weight1 = weight1 - 0.5 * gradient1.T @ x1
        weight2 = weight2 - 0.5 * gradient2.T @ x2
    assert np.abs(weight1 - before).max() > 0.05
    # Weights of about 1, after three steps of a few roundings each.
    assert_within(array(network.tower1.weight), weight1, 20 * UNIT[ms.float32])
    assert_within(array(network.tower2.weight), weight2, 20 * UNIT[ms.float32])


@pytest.mark.parametrize('level', ['O0', 'O1', 'O2', 'O3'])
def test_mixed_precision(level):
    x1, x2, labels = normal(9, (8, 4), ms.float16), normal(10, (8, 4), ms.float16), signs(11, 8)
    network = amp.auto_mixed_precision(_towers(CosineEmbeddingLoss(margin=-0.5)), level)
    gradient = ms.grad(network, None, network.trainable_params())
    inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
    out1, out2 = x1 @ normal(4, (3, 4), ms.float32).T, x2 @ normal(5, (3, 4), ms.float32).T
    expected = truth.reduced(truth.pair_losses(out1, out2, labels, margin=-0.5), 'mean')
    # Layers in float16 are good for 3 digits, and O0 leaves them in float32.
    assert_within(array(network(*inputs)), expected, (12 * UNIT[ms.float32]) if level == 'O0' else 4 * UNIT[ms.float16])
    for found, truly, x in zip(gradient(*inputs),
                               truth.gradients(out1, out2, labels, np.full(8, 1 / 8), margin=-0.5), (x1, x2)):
        wanted = truly.T @ x
        assert_within(array(found), wanted, 8 * UNIT[ms.float32 if level == 'O0' else ms.float16])


def test_recompute():
    inputs = _inputs()
    loss = CosineEmbeddingLoss(margin=-0.5)
    expected = ms.grad(loss, (0, 1))(*inputs)
    again = CosineEmbeddingLoss(margin=-0.5)
    again.recompute()
    for mine, other in zip(ms.grad(again, (0, 1))(*inputs), expected):
        assert np.abs(array(other)).max() > 0
        assert_within(array(mine), array(other), UNIT[ms.float32])


class _Scaled(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss
        self.scale = Parameter(Tensor(2.0, ms.float32))

    def construct(self, x1, x2, labels):
        return self.scale * self.loss(self.scale * x1, x2, labels)


def test_inside_a_parent_with_a_parameter():
    x1, x2, labels = _inputs()
    parent = _Scaled(CosineEmbeddingLoss(margin=-0.5))
    found = ms.grad(parent, None, parent.trainable_params())(x1, x2, labels)
    # The loss does not change with the length of a vector, so all that is left is the loss itself.
    expected = truth.reduced(truth.pair_losses(array(x1), array(x2), array(labels), margin=-0.5), 'mean')
    assert_within(array(found[0]), expected, 12 * UNIT[ms.float32])


def test_inside_jit():
    x1, x2, labels = _inputs()
    loss = CosineEmbeddingLoss(margin=-0.5)

    @ms.jit
    def by_cell(first, second, targets):
        return 2 * loss(first, second, targets)

    @ms.jit
    def by_function(first, second, targets):
        return 2 * cosine_embedding_loss(first, second, targets, -0.5)

    expected = truth.reduced(truth.pair_losses(array(x1), array(x2), array(labels), margin=-0.5), 'mean')
    true_gradients = truth.gradients(array(x1), array(x2), array(labels), np.full(6, 2 / 6), margin=-0.5)
    for function in (by_cell, by_function):
        losses, found = ms.value_and_grad(function, (0, 1))(x1, x2, labels)
        assert_within(array(losses), 2 * expected, 2 * tolerance(expected, ms.float32))
        for each, truly in zip(found, true_gradients):
            assert_within(each.asnumpy().astype(np.float64), truly, 1e-6 * np.linalg.norm(truly))


def test_two_losses_in_one_graph():
    x1, x2, labels = _inputs()
    first, second = CosineEmbeddingLoss(margin=-0.5), CosineEmbeddingLoss(margin=0.25, reduction='sum', eps=0.5)

    def both(one, other, targets):
        return first(one, other, targets) + second(other, one, targets)

    found = ms.grad(both, (0, 1))(x1, x2, labels)
    rows = array(x1), array(x2), array(labels)
    parts = (truth.gradients(*rows, np.full(6, 1 / 6), margin=-0.5), truth.gradients(*rows, margin=0.25, eps=0.5))
    for each, truly1, truly2 in zip(found, *parts):
        assert_within(array(each), truly1 + truly2, 1e-6 * np.linalg.norm(truly1 + truly2))


def test_backward_hook(mode):
    # Graph mode has no hooks: that they are left out and nothing else changes is all there is to ask.
    calls_expected = 0 if mode == ms.GRAPH_MODE else 1
    x1, x2, labels = _inputs()
    loss = CosineEmbeddingLoss(margin=-0.5)
    expected = [array(each) for each in ms.grad(loss, (0, 1))(x1, x2, labels)]
    calls = []

    def hook(cell, grad_input, grad_output):
        calls.append((cell, grad_output))

    hooked = CosineEmbeddingLoss(margin=-0.5)
    hooked.register_backward_hook(hook)
    for each, truly in zip(ms.grad(hooked, (0, 1))(x1, x2, labels), expected):
        assert_within(array(each), truly, UNIT[ms.float32])
    assert len(calls) == calls_expected
