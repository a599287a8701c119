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
"""The losses that the benchmarks compare, each as a set of calls on the same inputs."""
import dataclasses
import importlib
import importlib.util
import os
import typing
from functools import partial

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from benchmarks import exact
from benchmarks.kernel import Kernel, Memory, bfloat16
from ms_cosine_loss import CosineEmbeddingLoss, use_implementation

MARGIN = 0.1
MODES = {'graph': ms.GRAPH_MODE, 'pynative': ms.PYNATIVE_MODE}


@dataclasses.dataclass(frozen=True)
class Contestant:
    """Calls that return when their work is done; timed are `forward`, the mean loss, and `both`, with its gradients.

    `losses` returns each pair's loss and `gradients` those of their sum, as float64 arrays. Both are None where
    accuracy is not judged.
    """

    forward: typing.Callable
    both: typing.Callable
    losses: typing.Callable = None
    gradients: typing.Callable = None


class Problem:
    """Pairs as in training: half of them similar, with 1 - cos near 0.005, the others random."""

    def __init__(self, rows, length, dtype='float32'):
        rng = np.random.default_rng(0)
        x1, x2 = rng.standard_normal((2, rows, length), np.float32)
        self.labels = np.where(np.arange(rows) % 2, -1, 1).astype(np.int32)
        x2[::2] = x1[::2] + 0.1 * x2[::2]
        self.dtype = dtype
        self.x1, self.x2 = (self._rounded(x) for x in (x1, x2))

    def _rounded(self, x):
        """`x` rounded to the dtype, so that every contestant gets the same numbers."""
        if self.dtype == 'bfloat16':
            return (bfloat16(x).astype(np.uint32) << 16).view(np.float32)
        return x.astype(self.dtype).astype(np.float32)

    def error_of(self, contestant):
        """The worst relative error of a similar pair's loss, and the worst error of a gradient relative to its norm."""
        similar = self.labels == 1
        truth = exact.losses(self.x1[similar], self.x2[similar], np.ones(similar.sum()))
        of_loss = np.max(np.abs(contestant.losses()[similar] - truth) / truth)
        found = contestant.gradients()
        true = exact.gradients(self.x1, self.x2, self.labels, MARGIN)
        of_gradient = 0.0
        for ours, expected in zip(found, true):
            distance = np.linalg.norm(ours - expected, axis=1)
            length = np.linalg.norm(expected, axis=1)
            of_gradient = max(of_gradient, np.max(distance[length > 0] / length[length > 0], initial=0))
        return float(of_loss), float(of_gradient)


def _wait(outputs):
    # A graph may still run when its call returns. On CPU this copies nothing.
    for output in (outputs[0], *outputs[1]) if isinstance(outputs, tuple) else (outputs,):
        output.asnumpy()


class _Function(nn.Cell):
    """A function of ops as a Cell, which graph mode compiles."""

    def __init__(self, function, *settings):
        super().__init__()
        self._function, self._settings = function, settings

    def construct(self, logits_x1, logits_x2, labels):
        return self._function(logits_x1, logits_x2, labels, *self._settings)


def _sum(logits_x1, logits_x2, labels):
    return logits_x1.sum()


def _array(tensor):
    return tensor.astype(ms.float64).asnumpy()


def _mindspore(problem, make, implementation='auto', judged=True):
    """A contestant whose loss is `make(reduction)`; each call is compiled under `implementation`."""
    x1, x2 = (Tensor(x).astype(getattr(ms, problem.dtype)) for x in (problem.x1, problem.x2))
    inputs = x1, x2, Tensor(problem.labels)

    def called(function):
        def call():
            with use_implementation(implementation):
                outputs = function(*inputs)
            _wait(outputs)
            return outputs
        return call

    mean = make('mean')
    timed = called(mean), called(ms.value_and_grad(mean, (0, 1)))
    if not judged:
        return Contestant(*timed)
    losses, of_sum = called(make('none')), called(ms.value_and_grad(make('sum'), (0, 1)))
    return Contestant(*timed, lambda: _array(losses()), lambda: [_array(x) for x in of_sum()[1]])


def _torch(problem, compiled=False):
    torch = importlib.import_module('torch')
    torch.set_num_threads(os.cpu_count())
    x1, x2 = (torch.tensor(x).to(getattr(torch, problem.dtype)).requires_grad_() for x in (problem.x1, problem.x2))
    target = torch.tensor(problem.labels)

    def loss(x1, x2, reduction='mean'):
        return torch.nn.functional.cosine_embedding_loss(x1, x2, target, MARGIN, reduction=reduction)

    if compiled:
        # torch stops compiling after a few shapes.
        torch.compiler.reset()
        loss = torch.compile(loss)

    def forward(*settings):
        with torch.no_grad():
            return loss(x1, x2, *settings)

    def both(*settings):
        return torch.autograd.grad(loss(x1, x2, *settings), (x1, x2))

    return Contestant(forward, both, lambda: forward('none').double().numpy(),
                      lambda: [each.double().numpy() for each in both('sum')])


def _jax(problem):
    jax = importlib.import_module('jax')
    numpy = jax.numpy
    x1, x2 = (numpy.asarray(x, problem.dtype) for x in (problem.x1, problem.x2))
    target = numpy.asarray(problem.labels)

    def losses(x1, x2):
        norms = numpy.sqrt(((x1 * x1).sum(1) + exact.EPS) * ((x2 * x2).sum(1) + exact.EPS))
        cosine = (x1 * x2).sum(1) / norms
        return numpy.where(target == 1, 1 - cosine, numpy.maximum(0, cosine - MARGIN))

    def mean(x1, x2):
        return losses(x1, x2).mean()

    forward, both, each = jax.jit(mean), jax.jit(jax.value_and_grad(mean, (0, 1))), jax.jit(losses)
    of_sum = jax.jit(jax.grad(lambda x1, x2: losses(x1, x2).sum(), (0, 1)))
    return Contestant(lambda: forward(x1, x2).block_until_ready(), lambda: jax.block_until_ready(both(x1, x2)),
                      lambda: np.asarray(each(x1, x2), np.float64),
                      lambda: [np.asarray(x, np.float64) for x in of_sum(x1, x2)])


def _kernel(problem):
    exactly = bfloat16 if problem.dtype == 'bfloat16' else np.dtype(problem.dtype).type
    kernel = Kernel(exactly(problem.x1), exactly(problem.x2), problem.labels, MARGIN)
    return Contestant(kernel.forward, kernel.both)


def _memory(problem):
    rows, length = problem.x1.shape
    memory = Memory((rows, length if problem.dtype == 'float32' else length // 2), os.cpu_count())
    return Contestant(memory.forward, memory.both)


def makers(problem):
    """By name, a function that makes each contestant installed here that supports the dtype, in the tables' order.

    'kernel alone', 'memory' and 'x1.sum()' are lower bounds on the time of any loss.
    """
    made = {'native': lambda: _mindspore(problem, partial(CosineEmbeddingLoss, MARGIN), 'native'),
            'plain': lambda: _mindspore(problem, partial(CosineEmbeddingLoss, MARGIN), 'plain')}
    # MindSpore's own loss does not support bfloat16.
    if problem.dtype != 'bfloat16':
        made['mindspore.nn'] = lambda: _mindspore(problem, partial(nn.CosineEmbeddingLoss, MARGIN))
        made['mindspore.ops'] = lambda: _mindspore(problem, partial(_Function, ops.cosine_embedding_loss, MARGIN))
    if importlib.util.find_spec('torch'):
        made['torch'] = lambda: _torch(problem)
        made['torch.compile'] = lambda: _torch(problem, compiled=True)
    if importlib.util.find_spec('jax'):
        made['jax.jit'] = lambda: _jax(problem)
    made['kernel alone'] = lambda: _kernel(problem)
    made['memory'] = lambda: _memory(problem)
    if problem.dtype == 'float32':
        made['x1.sum()'] = lambda: _mindspore(problem, lambda reduction: _Function(_sum), judged=False)
    return made


def others_installed():
    """The other packages measured, whose versions are recorded."""
    return [importlib.import_module(name) for name in ('torch', 'jax') if importlib.util.find_spec(name)]
