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
"""The loss as a Cell: copied, pickled, printed, inside other cells and under jit."""
import copy
import pickle

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

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
    # The loss does not depend on the norm of a vector, so the derivative is the loss itself.
    expected = truth.reduced(truth.pair_losses(array(x1), array(x2), array(labels), margin=-0.5), 'mean')
    # The loss's 4 ulp of 1, and a few roundings of the two terms from the scale.
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
