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
"""Ways to differentiate: each argument, each row, in forward and reverse mode, twice, under vmap."""
import mindspore as ms
import numpy as np
from mindspore import nn, ops

from tests import truth
from tests.compatibility import case
from tests.compatibility.training import IN_FLOAT32, MARGIN, Towers, batches, sgd
from tests.st.evaluation import UNIT, array, assert_within, normal, pair_gradients, pair_losses, signs, tensor

# The contract's tolerance for float64 derivatives of about 1; second derivatives apply it twice, with sums in between.
TOLERANCE = 1e-14
SECOND_TOLERANCE = 1e-13

X1, X2, LABELS = normal(1, (6, 5)), normal(2, (6, 5)), signs(3, 6)
SHARE = np.full(6, 1 / 6)
VECTOR1, VECTOR2 = normal(4, (6, 5)), normal(5, (6, 5))


def _assert_gradients(found, expected):
    for each, truly in zip(found, expected):
        assert_within(array(each), truly, TOLERANCE)


def _inputs():
    return tensor(X1, ms.float64), tensor(X2, ms.float64), tensor(LABELS, ms.int32)


@case('derivatives', 'grad of each argument')
def each_alone(make_loss):
    expected = pair_gradients(X1, X2, LABELS, SHARE, margin=MARGIN)
    found = [ms.grad(make_loss(margin=MARGIN), position)(*_inputs()) for position in (0, 1)]
    _assert_gradients(found, expected)


@case('derivatives', 'grad of both arguments')
def both(make_loss):
    found = ms.grad(make_loss(margin=MARGIN), (0, 1))(*_inputs())
    _assert_gradients(found, pair_gradients(X1, X2, LABELS, SHARE, margin=MARGIN))


@case('derivatives', 'one upstream gradient per row')
def upstream(make_loss):
    loss = make_loss(margin=MARGIN, reduction='none')
    weights = np.arange(1, 7) / 4

    def weighted(x1, x2, labels, by):
        return (loss(x1, x2, labels) * by).sum()

    found = ms.grad(weighted, (0, 1))(*_inputs(), tensor(weights, ms.float64))
    _assert_gradients(found, pair_gradients(X1, X2, LABELS, weights, margin=MARGIN))


@case('derivatives', 'vjp')
def vjp(make_loss):
    loss = make_loss(margin=MARGIN, reduction='none')
    weights = np.arange(1, 7) / 4
    labels = tensor(LABELS, ms.int32)

    def losses(x1, x2):
        return loss(x1, x2, labels)

    value, pull_back = ms.vjp(losses, *_inputs()[:2])
    assert_within(array(value), pair_losses(X1, X2, LABELS, margin=MARGIN), TOLERANCE)
    _assert_gradients(pull_back(tensor(weights, ms.float64)), pair_gradients(X1, X2, LABELS, weights, margin=MARGIN))


@case('derivatives', 'jvp')
def jvp(make_loss):
    loss = make_loss(margin=MARGIN, reduction='none')
    labels = tensor(LABELS, ms.int32)

    def losses(x1, x2):
        return loss(x1, x2, labels)

    value, tangents = ms.jvp(losses, _inputs()[:2], (tensor(VECTOR1, ms.float64), tensor(VECTOR2, ms.float64)))
    gradient1, gradient2 = pair_gradients(X1, X2, LABELS, margin=MARGIN)
    assert_within(array(value), pair_losses(X1, X2, LABELS, margin=MARGIN), TOLERANCE)
    assert_within(array(tangents), (gradient1 * VECTOR1 + gradient2 * VECTOR2).sum(1), TOLERANCE)


def _jacobian_of_losses(jacobian, make_loss):
    # In float32, because MindSpore seeds the Jacobian with float32 ones.
    x1, x2 = normal(1, (6, 5), ms.float32), normal(2, (6, 5), ms.float32)
    found = jacobian(make_loss(margin=MARGIN, reduction='none'), 0)(
        tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(LABELS, ms.int32))
    expected = np.zeros((6, 6, 5))
    for row, gradient in enumerate(pair_gradients(x1, x2, LABELS, margin=MARGIN)[0]):
        expected[row, row] = gradient
    assert_within(array(found), expected, IN_FLOAT32)


@case('derivatives', 'jacrev')
def jacrev(make_loss):
    _jacobian_of_losses(ms.jacrev, make_loss)


@case('derivatives', 'jacfwd')
def jacfwd(make_loss):
    _jacobian_of_losses(ms.jacfwd, make_loss)


@case('derivatives', 'vmap')
def vmap(make_loss):
    stacks = [normal(seed, (3, 6, 5)) for seed in (6, 7)]
    labels = signs(8, (3, 6))
    found = ms.vmap(make_loss(margin=MARGIN), (0, 0, 0))(*(tensor(x, ms.float64) for x in stacks),
                                                         tensor(labels, ms.int32))
    expected = np.array([truth.reduced(pair_losses(*each, margin=MARGIN), 'mean') for each in zip(*stacks, labels)])
    assert_within(array(found), expected, TOLERANCE)


@case('derivatives', 'vmap of vmap')
def nested_vmap(make_loss):
    stacks = [normal(seed, (2, 3, 6, 5)) for seed in (6, 7)]
    labels = signs(8, (2, 3, 6))
    found = ms.vmap(ms.vmap(make_loss(margin=MARGIN), (0, 0, 0)), (0, 0, 0))(
        *(tensor(x, ms.float64) for x in stacks), tensor(labels, ms.int32))
    expected = np.array([[truth.reduced(pair_losses(*each, margin=MARGIN), 'mean') for each in zip(*outer)]
                         for outer in zip(*stacks, labels)])
    assert_within(array(found), expected, TOLERANCE)


@case('derivatives', 'vmap of grad')
def vmap_of_grad(make_loss):
    stacks = [normal(seed, (3, 6, 5)) for seed in (6, 7)]
    labels = signs(8, (3, 6))
    found = ms.vmap(ms.grad(make_loss(margin=MARGIN), (0, 1)), (0, 0, 0))(*(tensor(x, ms.float64) for x in stacks),
                                                                          tensor(labels, ms.int32))
    for index, each in enumerate(zip(*stacks, labels)):
        _assert_gradients([gradient[index] for gradient in found], pair_gradients(*each, SHARE, margin=MARGIN))


@case('derivatives', 'grad of vmap')
def grad_of_vmap(make_loss):
    stacks = [normal(seed, (3, 6, 5)) for seed in (6, 7)]
    labels = signs(8, (3, 6))
    mapped = ms.vmap(make_loss(margin=MARGIN), (0, 0, 0))

    def total(x1, x2, targets):
        return mapped(x1, x2, targets).sum()

    found = ms.grad(total, (0, 1))(*(tensor(x, ms.float64) for x in stacks), tensor(labels, ms.int32))
    for index, each in enumerate(zip(*stacks, labels)):
        _assert_gradients([gradient[index] for gradient in found], pair_gradients(*each, SHARE, margin=MARGIN))


@case('derivatives', 'Hessian-vector product')
def hessian_vector_product(make_loss):
    gradient = ms.grad(make_loss(margin=MARGIN), (0, 1))

    def along(x1, x2, labels, vector1, vector2):
        gradient1, gradient2 = gradient(x1, x2, labels)
        return (gradient1 * vector1 + gradient2 * vector2).sum()

    found = ms.grad(along, (0, 1))(*_inputs(), tensor(VECTOR1, ms.float64), tensor(VECTOR2, ms.float64))

    def mean_loss(x1, x2):
        return truth.reduced(truth.pair_losses(x1, x2, LABELS, margin=MARGIN), 'mean')

    for each, truly in zip(found, truth.hessian_vector_products(mean_loss, X1, X2, VECTOR1, VECTOR2)):
        assert_within(array(each), truly, SECOND_TOLERANCE)


class _Penalized(nn.Cell):
    """The loss of two towers plus half its squared gradient with respect to the embeddings."""

    def __init__(self, loss):
        super().__init__()
        self.towers = Towers()
        self.gradient = ops.GradOperation(get_all=True)
        self.loss = loss

    def construct(self, x1, x2, labels):
        embedding1, embedding2 = self.towers(x1, x2)
        gradients = self.gradient(self.loss)(embedding1, embedding2, labels)
        penalty = (gradients[0] * gradients[0]).sum() + (gradients[1] * gradients[1]).sum()
        return self.loss(embedding1, embedding2, labels) + 0.5 * penalty


@case('derivatives', 'gradient penalty')
def gradient_penalty(make_loss):
    network = _Penalized(make_loss(margin=MARGIN))
    weight1, weight2 = (tower.weight.asnumpy().astype(np.float64)
                        for tower in (network.towers.tower1, network.towers.tower2))
    optimizer = sgd(network)
    x1, x2, labels = batches()[0]
    _, found = ms.value_and_grad(network, None, optimizer.parameters)(x1, x2, labels)
    optimizer(found)

    x1, x2, labels = (array(each) for each in (x1, x2, labels))
    rows1, rows2 = x1 @ weight1.T, x2 @ weight2.T
    share = np.full(labels.size, 1 / labels.size)
    gradients = truth.gradients(rows1, rows2, labels, share, margin=MARGIN)

    def mean_loss(one, other):
        return truth.reduced(truth.pair_losses(one, other, labels, margin=MARGIN), 'mean')

    # The gradient of half its square is the Hessian times the gradient.
    curvatures = truth.hessian_vector_products(mean_loss, rows1, rows2, *gradients)
    for tower, weight, gradient, curvature, x in zip((network.towers.tower1, network.towers.tower2),
                                                     (weight1, weight2), gradients, curvatures, (x1, x2)):
        assert np.abs(curvature.T @ x).max() > 100 * IN_FLOAT32
        expected = weight - 0.5 * (gradient + curvature).T @ x
        assert_within(tower.weight.asnumpy().astype(np.float64), expected, IN_FLOAT32)


@case('derivatives', 'loss scale in float16')
def loss_scale_in_float16(make_loss):
    loss = make_loss(margin=MARGIN)
    x1, x2 = normal(1, (6, 5), ms.float16), normal(2, (6, 5), ms.float16)

    def scaled(one, other, labels):
        return loss(one, other, labels) * 1024

    found = ms.grad(scaled, (0, 1))(tensor(x1, ms.float16), tensor(x2, ms.float16), tensor(LABELS, ms.int32))
    for each, truly in zip(found, pair_gradients(x1, x2, LABELS, 1024 * SHARE, margin=MARGIN)):
        assert_within(array(each), truly, 4 * UNIT[ms.float16] * np.abs(truly).max())
