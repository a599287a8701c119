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
"""How fast the loss is beside others, in one process, measured in turns of random order.

    python -m benchmarks.speed [--rounds 15] [--seconds 3] [--modes graph pynative]

prints medians in milliseconds, forward and forward + backward, and how many times faster or slower than the native
implementation each contestant is. torch and jax take part where they are installed.

OpenMP's threads spin for a while after they have worked, through the turns of the others; OMP_WAIT_POLICY=passive in
the environment puts them to sleep. Without it, and in a process for PyNative alone, MindSpore is measured as its users
have it.
"""
import argparse
import importlib.util
import os
import random
import statistics
import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks.environment import describe
from benchmarks.kernel import Kernel, Memory, bfloat16
from ms_cosine_loss import CosineEmbeddingLoss, get_implementation_status, use_implementation

SHAPES = ((32, 128), (1024, 512), (16384, 768))
HALVES_SHAPE = (16384, 768)
MODES = {'graph': ms.GRAPH_MODE, 'pynative': ms.PYNATIVE_MODE}
MARGIN = 0.1


class _Sum(nn.Cell):
    """The floor of a graph: one launch."""

    def construct(self, logits_x1, logits_x2, labels):
        return logits_x1.sum()


def _mindspore(loss, inputs, implementation='auto'):
    """Forward, and forward with backward, each compiled under `implementation`."""
    calls = []
    for function in (loss, ms.value_and_grad(loss, (0, 1))):
        def call(function=function):
            with use_implementation(implementation):
                function(*inputs)
            ms.runtime.synchronize()
        calls.append(call)
    return tuple(calls)


def _torch(arrays, labels, dtype):
    torch = importlib.import_module('torch')
    torch.set_num_threads(os.cpu_count())
    # Otherwise it would count each shape as a reason to compile no more.
    torch.compiler.reset()
    x1, x2 = (torch.tensor(each).to(getattr(torch, dtype)).requires_grad_() for each in arrays)
    target = torch.tensor(labels)

    def loss(x1, x2):
        return torch.nn.functional.cosine_embedding_loss(x1, x2, target, MARGIN)

    def contestant(function):
        def forward():
            with torch.no_grad():
                function(x1, x2)

        def both():
            torch.autograd.grad(function(x1, x2), (x1, x2))

        return forward, both

    return {'torch': contestant(loss), 'torch.compile': contestant(torch.compile(loss))}


def _jax(arrays, labels, dtype):
    jax = importlib.import_module('jax')
    numpy = jax.numpy
    x1, x2 = (numpy.asarray(each, dtype) for each in arrays)
    target = numpy.asarray(labels)

    def loss(x1, x2):
        norms = numpy.sqrt(((x1 * x1).sum(1) + 1e-12) * ((x2 * x2).sum(1) + 1e-12))
        cosine = (x1 * x2).sum(1) / norms
        return numpy.where(target == 1, 1 - cosine, numpy.maximum(0, cosine - MARGIN)).mean()

    forward, both = jax.jit(loss), jax.jit(jax.value_and_grad(loss, (0, 1)))
    return {'jax.jit': (lambda: forward(x1, x2).block_until_ready(), lambda: jax.block_until_ready(both(x1, x2)))}


def _contestants(mode, shape, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
    labels = rng.choice([-1, 1], shape[0]).astype(np.int32)
    inputs = (*(Tensor(each).astype(getattr(ms, dtype)) for each in arrays), Tensor(labels))
    contestants = {'native': _mindspore(CosineEmbeddingLoss(MARGIN), inputs, 'native'),
                   'plain': _mindspore(CosineEmbeddingLoss(MARGIN), inputs, 'plain')}
    if dtype == 'float32':
        contestants['mindspore.nn'] = _mindspore(nn.CosineEmbeddingLoss(MARGIN), inputs)
    if mode == 'graph':
        if dtype == 'float32':
            contestants['x1.sum()'] = _mindspore(_Sum(), inputs)
        for name, make in (('torch', _torch), ('jax', _jax)):
            if importlib.util.find_spec(name):
                contestants.update(make(arrays, labels, dtype))
        exact = {'float32': lambda x: x, 'float16': lambda x: x.astype(np.float16), 'bfloat16': bfloat16}[dtype]
        kernel = Kernel(*(exact(each) for each in arrays), labels, MARGIN)
        contestants['kernel alone'] = kernel.forward, kernel.both
        memory = Memory(shape if dtype == 'float32' else (shape[0], shape[1] // 2), os.cpu_count())
        contestants['memory'] = memory.forward, memory.both
    return contestants


def _milliseconds(call):
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def _medians(calls, rounds, seconds):
    """The median time of each call: at least `rounds` rounds in turns, and for at least `seconds`."""
    for call in calls.values():
        for _ in range(3):
            call()
    times = {name: [] for name in calls}
    order = list(calls)
    generator = random.Random(0)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(next(iter(times.values()))) < rounds:
        # A new order each round, because each leaves its threads and the caches to the next.
        generator.shuffle(order)
        for name in order:
            times[name].append(_milliseconds(calls[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=3.0)
    parser.add_argument('--modes', nargs='+', choices=list(MODES), default=list(MODES))
    arguments = parser.parse_args()
    status = get_implementation_status()
    others = [importlib.import_module(name) for name in ('torch', 'jax') if importlib.util.find_spec(name)]
    print(describe(*others) + f', kernel on {status.instruction_set} with {status.threads} threads, '
          f"OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'not set')}")
    print('median ms (how many times the time of native)\n')
    print('| mode | shape | contestant | forward | forward + backward |\n| --- | --- | --- | --- | --- |')
    for mode in arguments.modes:
        ms.set_context(mode=MODES[mode])
        cases = [(shape, 'float32') for shape in SHAPES]
        if mode == 'graph':
            cases += [(HALVES_SHAPE, dtype) for dtype in ('bfloat16', 'float16')]
        for shape, dtype in cases:
            contestants = _contestants(mode, shape, dtype)
            medians = [_medians({name: calls[which] for name, calls in contestants.items()}, arguments.rounds,
                                arguments.seconds) for which in (0, 1)]
            for name in contestants:
                cells = [f'{each[name]:.3f} ({each[name] / each["native"]:.2f})' for each in medians]
                print(f'| {mode} | {shape} {dtype} | {name} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
