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
"""Ways to train: three steps of a network of two towers, whose weights must match a training in float64."""
import functools
import types

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor, amp, nn, ops, train

from tests import truth
from tests.compatibility import case
from tests.st.evaluation import UNIT, assert_within, normal, signs

MARGIN = -0.5
RATE = 0.5
STEPS = 3
ROWS = 8

# Weights and data are float16 numbers, so that a cast to float16 does not change them before the first layer.
WEIGHTS = tuple(normal(seed, (3, 4), ms.float16) for seed in (4, 5))
BATCHES = tuple((normal(20 + step, (ROWS, 4), ms.float16), normal(30 + step, (ROWS, 4), ms.float16),
                 signs(40 + step, ROWS)) for step in range(STEPS))

# Weights of about 1 after three steps of a few roundings each.
IN_FLOAT32 = 20 * UNIT[ms.float32]
# Layers, and from O2 on their gradients too, have 11 bits: one ulp of the largest activation, about 4, at each step.
IN_FLOAT16 = 4 * STEPS * UNIT[ms.float16]


@functools.cache
def reference_weights(sizes=(ROWS,) * STEPS):
    """The weights after training in float64 on the first rows of each batch, with the loss computed by `truth`."""
    weight1, weight2 = WEIGHTS
    for size, batch in zip(sizes, BATCHES):
        x1, x2, labels = (each[:size] for each in batch)
        gradient1, gradient2 = truth.gradients(x1 @ weight1.T, x2 @ weight2.T, labels, np.full(size, 1 / size),
                                               margin=MARGIN)
        weight1 = weight1 - RATE * gradient1.T @ x1
        weight2 = weight2 - RATE * gradient2.T @ x2
    for after, before in zip((weight1, weight2), WEIGHTS):
        assert np.abs(after - before).max() > 0.1
    return weight1, weight2


def assert_trained(towers, tolerance=IN_FLOAT32, sizes=(ROWS,) * STEPS):
    """Asserts that the towers' weights match the reference."""
    for tower, expected in zip((towers.tower1, towers.tower2), reference_weights(sizes)):
        assert_within(tower.weight.asnumpy().astype(np.float64), expected, tolerance)


class Towers(nn.Cell):
    """A one-layer embedding for each side."""

    def __init__(self):
        super().__init__()
        self.tower1, self.tower2 = (nn.Dense(4, 3, weight_init=Tensor(weight.astype(np.float32)), has_bias=False)
                                    for weight in WEIGHTS)

    def construct(self, x1, x2):
        return self.tower1(x1), self.tower2(x2)


class Network(nn.Cell):
    """The towers and their loss."""

    def __init__(self, loss):
        super().__init__()
        self.towers = Towers()
        self.loss = loss

    def construct(self, x1, x2, labels):
        embedding1, embedding2 = self.towers(x1, x2)
        return self.loss(embedding1, embedding2, labels)


class TowersOfPairs(nn.Cell):
    """The towers with one input that contains both sides."""

    def __init__(self):
        super().__init__()
        self.towers = Towers()

    def construct(self, pairs):
        return self.towers(pairs[:, 0], pairs[:, 1])


class LossOfPairs(nn.LossBase):
    """The loss with one input that contains both embeddings, as MindSpore's containers pass it."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, embeddings, labels):
        return self.loss(embeddings[0], embeddings[1], labels)


class LossOfThree(nn.Cell):
    """The loss with one input, a tuple of both embeddings and the labels."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, inputs):
        return self.loss(inputs[0], inputs[1], inputs[2])


class TowersOfThree(nn.Cell):
    """The towers with one input, a tuple of both inputs and the labels, which pass through."""

    def __init__(self):
        super().__init__()
        self.towers = Towers()

    def construct(self, inputs):
        embedding1, embedding2 = self.towers(inputs[0], inputs[1])
        return embedding1, embedding2, inputs[2]


def batches():
    """The batches as tensors."""
    return [(Tensor(x1.astype(np.float32)), Tensor(x2.astype(np.float32)), Tensor(labels.astype(np.int32)))
            for x1, x2, labels in BATCHES]


def sgd(cell, rate=RATE, **settings):
    """Returns an optimizer of all parameters of `cell`."""
    return nn.SGD(cell.trainable_params(), learning_rate=rate, **settings)


def _all_rows():
    x1, x2, labels = (np.concatenate(each) for each in zip(*BATCHES))
    return x1.astype(np.float32), x2.astype(np.float32), labels.astype(np.int32)


def _dataset_of_three():
    return ds.NumpySlicesDataset(_all_rows(), ['x1', 'x2', 'labels'], shuffle=False).batch(ROWS)


def _dataset_of_pairs():
    x1, x2, labels = _all_rows()
    return ds.NumpySlicesDataset((np.stack((x1, x2), 1), labels), ['pairs', 'labels'], shuffle=False).batch(ROWS)


def _train_functionally(network, towers, tolerance=IN_FLOAT32):
    optimizer = sgd(towers)
    gradient = ms.value_and_grad(network, None, optimizer.parameters)
    for batch in batches():
        _, found = gradient(*batch)
        optimizer(found)
    assert_trained(towers, tolerance)


def _train_by(step, towers, tolerance=IN_FLOAT32):
    step.set_train()
    for batch in batches():
        step(*batch)
    assert_trained(towers, tolerance)


@case('training', 'TrainOneStepCell')
def train_one_step(make_loss):
    network = Network(make_loss(margin=MARGIN))
    # The learning rate undoes the scale of 1024.
    _train_by(nn.TrainOneStepCell(network, sgd(network, RATE / 1024), sens=1024.0), network.towers)


@case('training', 'WithLossCell')
def with_loss_cell(make_loss):
    backbone = TowersOfPairs()
    step = nn.TrainOneStepCell(nn.WithLossCell(backbone, LossOfPairs(make_loss(margin=MARGIN))), sgd(backbone))
    step.set_train()
    for x1, x2, labels in batches():
        step(ops.stack((x1, x2), 1), labels)
    assert_trained(backbone.towers)


class _Losses(train.Callback):
    """Records the losses, and the loss Cell that other callbacks would find."""

    def __init__(self):
        super().__init__()
        self.losses = []
        self.found = None

    def on_train_step_end(self, run_context):
        arguments = run_context.original_args()
        self.losses.append(float(arguments.net_outputs))
        # SummaryCollector finds the loss by this type.
        self.found = [cell for _, cell in arguments.train_network.cells_and_names() if isinstance(cell, nn.LossBase)]


def _model_train(make_loss, sink, *callbacks):
    loss = make_loss(margin=MARGIN)
    network = Network(loss)
    seen = _Losses()
    train.Model(network, optimizer=sgd(network)).train(1, _dataset_of_three(), [seen, *callbacks],
                                                       dataset_sink_mode=sink)
    assert seen.found == [loss]
    # With a data sink, where the device has one, a step is an epoch.
    assert len(seen.losses) in ((1, STEPS) if sink else (STEPS,))
    assert_trained(network.towers)


@case('training', 'Model.train, LossMonitor')
def model_train(make_loss):
    _model_train(make_loss, False, train.LossMonitor())


@case('training', 'Model.train, dataset_sink_mode')
def model_train_sink(make_loss):
    _model_train(make_loss, True)


@case('training', 'Model.train, SummaryCollector')
def model_train_summary(make_loss):
    _model_train(make_loss, False, train.SummaryCollector('summary', collect_freq=1))


@case('training', 'Model.train, loss_fn; Model.eval')
def model_eval(make_loss):
    backbone = TowersOfPairs()
    model = train.Model(backbone, LossOfPairs(make_loss(margin=MARGIN)), sgd(backbone), metrics={'loss': train.Loss()})
    model.train(1, _dataset_of_pairs(), dataset_sink_mode=False)
    assert_trained(backbone.towers)
    weight1, weight2 = reference_weights()
    expected = np.mean([truth.reduced(truth.pair_losses(x1 @ weight1.T, x2 @ weight2.T, labels, margin=MARGIN), 'mean')
                        for x1, x2, labels in BATCHES])
    found = np.asarray(model.eval(_dataset_of_pairs(), dataset_sink_mode=False)['loss'])
    assert_within(found, expected, IN_FLOAT32)


def _tolerance(level):
    return IN_FLOAT32 if level == 'O0' else IN_FLOAT16


def _enter_amp(level):
    @case('mixed precision', f'amp.build_train_network {level}')
    def build_train_network(make_loss):
        network = Network(make_loss(margin=MARGIN))
        # On CPU, MindSpore accepts only None or a fixed scale here, whatever the loss.
        step = amp.build_train_network(network, sgd(network), level=level, loss_scale_manager=None)
        _train_by(step, network.towers, _tolerance(level))

    @case('mixed precision', f'amp.auto_mixed_precision {level}')
    def auto_mixed_precision(make_loss):
        network = Network(make_loss(margin=MARGIN))
        _train_functionally(amp.auto_mixed_precision(network, level), network.towers, _tolerance(level))


for _level in ('O0', 'O1', 'O2', 'O3', 'auto'):
    _enter_amp(_level)


@case('mixed precision', 'FixedLossScaleManager O2')
def fixed_loss_scale_manager(make_loss):
    network = Network(make_loss(margin=MARGIN))
    manager = amp.FixedLossScaleManager(1024, drop_overflow_update=False)
    step = amp.build_train_network(network, sgd(network, loss_scale=1024.0), level='O2', loss_scale_manager=manager)
    _train_by(step, network.towers, IN_FLOAT16)


@case('mixed precision', 'DynamicLossScaler, with overflows')
def dynamic_loss_scaler(make_loss):
    network = amp.auto_mixed_precision(Network(make_loss(margin=MARGIN)), 'O1')
    optimizer = sgd(network)
    scaler = amp.DynamicLossScaler(scale_value=2.0 ** 22, scale_factor=2, scale_window=50)

    def forward(x1, x2, labels):
        value = network(x1, x2, labels)
        return scaler.scale(value), value

    gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)
    overflows = 0
    for batch in batches():
        is_finite = False
        while not is_finite:
            _, found = gradient(*batch)
            found = scaler.unscale(found)
            is_finite = bool(amp.all_finite(found))
            scaler.adjust(Tensor(is_finite))
            overflows += not is_finite
        optimizer(found)
    # The gradients of the activations pass through float16, whose largest number is 65504.
    assert overflows >= 3
    assert_trained(network.towers, IN_FLOAT16)


@case('mixed precision', 'DynamicLossScaleManager')
def dynamic_loss_scale_manager(make_loss):
    network = Network(make_loss(margin=MARGIN))
    step = amp.build_train_network(network, sgd(network), level='O0',
                                   loss_scale_manager=amp.DynamicLossScaleManager(2.0 ** 10, 2, 1000))
    _train_by(step, network.towers)


@case('mixed precision', 'TrainOneStepWithLossScaleCell')
def train_one_step_with_loss_scale_cell(make_loss):
    network = Network(make_loss(margin=MARGIN))
    step = nn.TrainOneStepWithLossScaleCell(network, sgd(network), nn.DynamicLossScaleUpdateCell(2 ** 10, 2, 1000))
    _train_by(step, network.towers)


@case('training', 'value_and_grad, has_aux')
def value_and_grad_with_aux(make_loss):
    towers = Towers()
    loss = make_loss(margin=MARGIN)
    optimizer = sgd(towers)

    def forward(x1, x2, labels):
        embedding1, embedding2 = towers(x1, x2)
        return loss(embedding1, embedding2, labels), embedding1

    gradient = ms.value_and_grad(forward, None, optimizer.parameters, has_aux=True)
    for x1, x2, labels in batches():
        (_, embedding), found = gradient(x1, x2, labels)
        assert_within(embedding.asnumpy(), towers(x1, x2)[0].asnumpy(), IN_FLOAT32)
        optimizer(found)
    assert_trained(towers)


@case('training', 'gradient accumulation')
def gradient_accumulation(make_loss):
    network = Network(make_loss(margin=MARGIN))
    optimizer = sgd(network)
    gradient = ms.value_and_grad(network, None, optimizer.parameters)
    half = ROWS // 2
    for batch in batches():
        _, first = gradient(*(each[:half] for each in batch))
        _, second = gradient(*(each[half:] for each in batch))
        optimizer(tuple((one + other) / 2 for one, other in zip(first, second)))
    assert_trained(network.towers)


@case('training', 'recompute on the loss')
def recompute_of_the_loss(make_loss):
    loss = make_loss(margin=MARGIN)
    loss.recompute()
    network = Network(loss)
    _train_functionally(network, network.towers)


@case('training', 'recompute on the network')
def recompute_of_the_network(make_loss):
    network = Network(make_loss(margin=MARGIN))
    network.recompute()
    _train_functionally(network, network.towers)


HOOKED = []


# At module level, because a graph parses the source of registered hooks.
def _forward_pre_hook(cell, inputs):
    HOOKED.append('forward_pre')


def _forward_hook(cell, inputs, output):
    HOOKED.append('forward')


def _backward_pre_hook(cell, gradient):
    HOOKED.append('backward_pre')


def _backward_hook(cell, gradient_of_input, gradient_of_output):
    HOOKED.append('backward')


@case('training', 'hooks')
def hooks(make_loss):
    loss = make_loss(margin=MARGIN)
    in_pynative = ms.get_context('mode') == ms.PYNATIVE_MODE
    loss.register_backward_hook(_backward_hook)
    if in_pynative:
        loss.register_forward_pre_hook(_forward_pre_hook)
        loss.register_forward_hook(_forward_hook)
        loss.register_backward_pre_hook(_backward_pre_hook)
    HOOKED.clear()
    network = Network(loss)
    _train_functionally(network, network.towers)
    # MindSpore leaves hooks out of graphs.
    expected = ['forward_pre', 'forward', 'backward_pre', 'backward'] * STEPS if in_pynative else []
    assert expected == HOOKED


def _with_code_of_its_own(function):
    # With capture_mode='bytecode', MindSpore caches graphs by the code object, whatever the closure contains.
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__,
                              function.__defaults__, function.__closure__)


def _enter_jit(front_end):
    @case('training', f'jit of the whole step, {front_end}')
    def jit_of_a_step(make_loss):
        network = Network(make_loss(margin=MARGIN))
        optimizer = sgd(network)
        gradient = ms.value_and_grad(network, None, optimizer.parameters)

        def step(x1, x2, labels):
            value, found = gradient(x1, x2, labels)
            optimizer(found)
            return value

        compiled = ms.jit(_with_code_of_its_own(step), capture_mode=front_end)
        for batch in batches():
            compiled(*batch)
        assert_trained(network.towers)

    @case('training', f'jit of the loss, {front_end}')
    def jit_of_the_loss(make_loss):
        towers = Towers()
        loss = make_loss(margin=MARGIN)

        def of_embeddings(embedding1, embedding2, labels):
            return loss(embedding1, embedding2, labels)

        compiled = ms.jit(_with_code_of_its_own(of_embeddings), capture_mode=front_end)

        def forward(x1, x2, labels):
            embedding1, embedding2 = towers(x1, x2)
            return compiled(embedding1, embedding2, labels)

        _train_functionally(forward, towers)


for _front_end in ('ast', 'bytecode'):
    _enter_jit(_front_end)


@case('training', 'inside a SequentialCell')
def sequential_cell(make_loss):
    network = nn.SequentialCell(TowersOfThree(), LossOfThree(make_loss(margin=MARGIN)))
    optimizer = sgd(network)
    gradient = ms.value_and_grad(network, None, optimizer.parameters)
    for batch in batches():
        _, found = gradient(batch)
        optimizer(found)
    assert_trained(network[0].towers)
