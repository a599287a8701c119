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
"""Ways to shape a batch: sizes that change, an empty batch, axes other than the second."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from tests import truth
from tests.compatibility import case
from tests.compatibility.training import IN_FLOAT32, MARGIN, RATE, Network, assert_trained, batches, sgd
from tests.st.evaluation import array, assert_within, normal, pair_gradients, pair_losses, signs, tensor

# The last batch of an epoch is the remainder.
SIZES = (8, 8, 3)


def _train_on_sizes(make_loss, shapes):
    """Trains on batches of several sizes; returns the number of graphs compiled."""
    network = Network(make_loss(margin=MARGIN))
    step = nn.TrainOneStepCell(network, sgd(network, RATE))
    step.set_train()
    if shapes is not None:
        step.set_inputs(*(Tensor(shape=shape, dtype=dtype)
                          for shape, dtype in zip(shapes, (ms.float32, ms.float32, ms.int32))))
    for size, batch in zip(SIZES, batches()):
        step(*(each[:size] for each in batch))
    assert_trained(network.towers, sizes=SIZES)
    return len(step.compile_cache)


def _compiles(count):
    """Returns `count` in graph mode and 0 in PyNative, which compiles no graphs."""
    return count if ms.get_context('mode') == ms.GRAPH_MODE else 0


@case('shapes', 'short last batch')
def short_last_batch(make_loss):
    assert _train_on_sizes(make_loss, None) == _compiles(2)


@case('shapes', 'short last batch, dynamic shape, compiled once')
def dynamic_shape(make_loss):
    assert _train_on_sizes(make_loss, ([None, 4], [None, 4], [None])) == _compiles(1)


@case('shapes', 'dynamic rank')
def dynamic_rank(make_loss):
    loss = make_loss(margin=MARGIN)
    loss.set_inputs(*(Tensor(shape=None, dtype=dtype) for dtype in (ms.float32, ms.float32, ms.int32)))
    for rows in (5, 2):
        x1, x2, labels = normal(1, (rows, 4), ms.float32), normal(2, (rows, 4), ms.float32), signs(3, rows)
        expected = truth.reduced(pair_losses(x1, x2, labels, margin=MARGIN), 'mean')
        assert_within(array(loss(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32))), expected,
                      IN_FLOAT32)
    assert len(loss.compile_cache) == _compiles(1)


@case('shapes', 'empty batch')
def empty_batch(make_loss):
    empty = Tensor(np.zeros((0, 4), np.float32))
    labels = Tensor(np.zeros(0, np.int32))
    assert make_loss(reduction='none')(empty, empty, labels).shape == (0,)
    assert float(make_loss(reduction='sum')(empty, empty, labels)) == 0
    assert np.isnan(float(make_loss(reduction='mean')(empty, empty, labels)))


def _value_and_gradients(loss, x1, x2, labels, axis):
    found, derived = ms.value_and_grad(loss, (0, 1))(tensor(x1, ms.float32), tensor(x2, ms.float32),
                                                     tensor(labels, ms.int32))
    share = np.full(labels.shape, 1 / labels.size)
    expected = truth.reduced(pair_losses(x1, x2, labels, axis=axis, margin=MARGIN), 'mean')
    assert_within(array(found), expected, IN_FLOAT32)
    for each, truly in zip(derived, pair_gradients(x1, x2, labels, share, axis=axis, margin=MARGIN)):
        assert_within(array(each), truly, IN_FLOAT32)


@case('shapes', '(batch, time, features), axis=-1')
def last_axis(make_loss):
    _value_and_gradients(make_loss(margin=MARGIN, axis=-1), normal(1, (2, 3, 4), ms.float32),
                         normal(2, (2, 3, 4), ms.float32), signs(3, (2, 3)), -1)


@case('shapes', '(batch, features, time)')
def second_axis_of_three(make_loss):
    _value_and_gradients(make_loss(margin=MARGIN), normal(1, (2, 4, 3), ms.float32), normal(2, (2, 4, 3), ms.float32),
                         signs(3, (2, 3)), 1)


@case('shapes', 'one anchor against a batch')
def anchor(make_loss):
    _value_and_gradients(make_loss(margin=MARGIN), normal(1, (1, 4), ms.float32), normal(2, (6, 4), ms.float32),
                         signs(3, 6), 1)


@case('shapes', 'two unbatched vectors')
def unbatched(make_loss):
    _value_and_gradients(make_loss(margin=MARGIN), normal(1, 4, ms.float32), normal(2, 4, ms.float32), np.array(1), 0)
