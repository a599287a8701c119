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
"""How fast the loss is beside mindspore.nn.CosineEmbeddingLoss, in one process, measured in turns.

    python -m benchmarks.speed [--rounds 15] [--seconds 3]

prints the medians in milliseconds, forward and forward + backward, in both modes, and how many times faster ours is.
"""
import argparse
import statistics
import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from benchmarks.environment import describe
from ms_cosine_loss import CosineEmbeddingLoss

SHAPES = ((32, 128), (1024, 512), (16384, 768))
MODES = (('graph', ms.GRAPH_MODE), ('pynative', ms.PYNATIVE_MODE))
MARGIN = 0.1


def _inputs(rows, length):
    rng = np.random.default_rng(0)
    logits = [Tensor(rng.standard_normal((rows, length)), ms.float32) for _ in range(2)]
    return (*logits, Tensor(rng.choice([-1, 1], rows), ms.int32))


def _seconds(function, inputs):
    ms.runtime.synchronize()
    started = time.perf_counter()
    function(*inputs)
    ms.runtime.synchronize()
    return time.perf_counter() - started


def _medians(functions, inputs, rounds, seconds):
    """The median time of each function: at least `rounds` rounds in turns, and for at least `seconds`."""
    for function in functions.values():
        for _ in range(3):
            _seconds(function, inputs)
    times = {name: [] for name in functions}
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(next(iter(times.values()))) < rounds:
        for name, function in functions.items():
            times[name].append(_seconds(function, inputs))
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=3.0)
    arguments = parser.parse_args()
    print(describe())
    print('median ms: ours / mindspore.nn (ratio: how many times faster ours is)\n')
    print('| mode | shape | forward | forward + backward |\n| --- | --- | --- | --- |')
    for mode_name, mode in MODES:
        ms.set_context(mode=mode)
        for shape in SHAPES:
            inputs = _inputs(*shape)
            functions = {}
            for name, loss in (('ours', CosineEmbeddingLoss(MARGIN)), ('theirs', nn.CosineEmbeddingLoss(MARGIN))):
                functions[name, 'forward'] = loss
                functions[name, 'both'] = ms.value_and_grad(loss, (0, 1))
            medians = _medians(functions, inputs, arguments.rounds, arguments.seconds)
            cells = []
            for what in ('forward', 'both'):
                ours, theirs = 1e3 * medians['ours', what], 1e3 * medians['theirs', what]
                cells.append(f'{ours:.2f} / {theirs:.2f} ({theirs / ours:.2f})')
            print(f'| {mode_name} | {shape} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
