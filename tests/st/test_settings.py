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
"""The settings of a Cell cannot be changed, because a compiled graph would keep the old ones."""
import copy
import functools
import pickle

import mindspore as ms
import numpy as np
import pytest
from mindspore import dataset, nn, train

from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss
from tests import truth
from tests.st.evaluation import array, assert_within, normal, pair_losses, signs, tensor, tolerance

pytestmark = pytest.mark.usefixtures('mode')

CHANGES = {'margin': 0.5, 'reduction': 'none', 'axis': 0, 'eps': 1.0}
SAYS = {'margin': " or pass the margin to 'cosine_embedding_loss' as a Tensor"}

X1, X2, LABELS = normal(1, (6, 5), ms.float32), normal(2, (6, 5), ms.float32), signs(3, 6)
INPUTS = tensor(X1, ms.float32), tensor(X2, ms.float32), tensor(LABELS, ms.int32)


def _text(name):
    return (f"For 'CosineEmbeddingLoss', the '{name}' cannot be changed, because compiled graphs would keep the old "
            f"one. Create a new CosineEmbeddingLoss{SAYS.get(name, '')}.")


class _Network(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, *inputs):
        return self.loss(*inputs)


@pytest.mark.parametrize('name', CHANGES)
@pytest.mark.parametrize('has_run', [False, True], ids=['new', 'compiled'])
def test_a_change_is_refused_and_changes_nothing(name, has_run):
    loss = CosineEmbeddingLoss(0.25, 'sum')
    network = _Network(loss)
    expected = truth.reduced(pair_losses(X1, X2, LABELS, margin=0.25), 'sum')
    if has_run:
        network(*INPUTS)
    shown = repr(loss)
    for change in (lambda: setattr(loss, name, CHANGES[name]), lambda: setattr(loss, name, getattr(loss, name)),
                   lambda: setattr(network.loss, name, object()), lambda: delattr(loss, name)):
        with pytest.raises(AttributeError) as raised:
            change()
        assert str(raised.value) == _text(name)
    assert repr(loss) == shown
    for each in (network, network.set_train(not network.training), loss):
        assert_within(array(each(*INPUTS)), expected, tolerance(expected, ms.float32, 6))


@pytest.mark.parametrize('replicate', [copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))],
                         ids=['copy', 'deepcopy', 'pickle'])
def test_a_replica_refuses_too(replicate):
    with pytest.raises(AttributeError) as raised:
        replicate(CosineEmbeddingLoss()).margin = 0.5
    assert str(raised.value) == _text('margin')


def test_other_attributes_are_free():
    loss = CosineEmbeddingLoss()
    loss.note = 'mine'
    loss.note = 'changed'
    assert loss.note == 'changed'
    del loss.note
    assert not hasattr(loss, 'note')


class _RaiseMargin(train.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_train_epoch_end(self, run_context):
        self.loss.margin = 0.5


def test_a_callback_that_changes_the_margin_says_so():
    columns = X1.astype(np.float32), X2.astype(np.float32), LABELS.astype(np.int32)
    pairs = dataset.NumpySlicesDataset(columns, ['x1', 'x2', 'labels']).batch(3)

    class Losses(nn.Cell):
        def __init__(self):
            super().__init__()
            self.dense = nn.Dense(5, 4)
            self.loss = CosineEmbeddingLoss()

        def construct(self, x1, x2, labels):
            return self.loss(self.dense(x1), self.dense(x2), labels)

    losses = Losses()
    model = train.Model(losses, optimizer=nn.SGD(losses.trainable_params(), 0.1))
    with pytest.raises(AttributeError) as raised:
        model.train(2, pairs, [_RaiseMargin(losses.loss)], dataset_sink_mode=False)
    assert str(raised.value) == _text('margin')


def _a_new_loss():
    return CosineEmbeddingLoss


def _an_argument():
    step = ms.jit(cosine_embedding_loss)

    def loss_for(margin):
        return functools.partial(step, margin=tensor(margin, ms.float32))

    return loss_for


@pytest.mark.parametrize('way', [_a_new_loss, _an_argument])
def test_the_two_ways_to_schedule_a_margin(way):
    loss_for = way()
    for margin in (-0.5, 0.0, 0.5):
        expected = truth.reduced(pair_losses(X1, X2, LABELS, margin=margin), 'mean')
        assert_within(array(loss_for(margin)(*INPUTS)), expected, tolerance(expected, ms.float32, 6))
