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
"""The memory of a process that trains: python -m tests.by_hand.failure_modes.training LOSS MODE STEPS.

LOSS is native, plain, mindspore.nn or product, the sum of one multiplication. Prints the resident memory in MiB after
warm-up, halfway and at the end, and the milliseconds per step, as JSON.
"""
import json
import resource
import sys
import time

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

import ms_cosine_loss
from tests.by_hand.failure_modes.answer import MODES

ROWS, LENGTH, WARM_UP = 32, 16, 1000


class Product(nn.Cell):
    """The smallest loss that can be trained."""

    def construct(self, x1, x2, labels):
        return ops.mul(x1, x2).sum()


class Network(nn.Cell):
    """Trains the vectors themselves, so that a step launches little besides the loss."""

    def __init__(self, loss):
        super().__init__()
        rng = np.random.default_rng(1)
        self.x1 = Parameter(Tensor(rng.standard_normal((ROWS, LENGTH)).astype(np.float32)), name='x1')
        self.loss = loss

    def construct(self, x2, labels):
        return self.loss(self.x1, x2, labels)


def _resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2 ** 20


def main(which, mode, steps):
    """Trains and prints."""
    ms.set_context(mode=MODES[mode])
    if which == 'mindspore.nn':
        loss = nn.CosineEmbeddingLoss()
    elif which == 'product':
        loss = Product()
    else:
        ms_cosine_loss.set_implementation(which)
        loss = ms_cosine_loss.CosineEmbeddingLoss()
    network = Network(loss)
    train = nn.TrainOneStepCell(network, nn.SGD(network.trainable_params(), 0.01))
    train.set_train()
    rng = np.random.default_rng(2)
    x2 = Tensor(rng.standard_normal((ROWS, LENGTH)).astype(np.float32))
    labels = Tensor(rng.choice([-1, 1], ROWS).astype(np.int32))
    marks, first, last = [], None, None
    begin = time.perf_counter()
    for step in range(WARM_UP + int(steps)):
        last = float(train(x2, labels))
        first = last if first is None else first
        if step + 1 in (WARM_UP, WARM_UP + int(steps) // 2, WARM_UP + int(steps)):
            marks.append(round(_resident(), 2))
    assert last < first
    print(json.dumps([*marks, round(1000 * (time.perf_counter() - begin) / (WARM_UP + int(steps)), 2)]))


if __name__ == '__main__':
    main(*sys.argv[1:])
