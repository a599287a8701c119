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
"""Calls the loss without enough memory for its result or its temporaries.

    python -m tests.by_hand.failure_modes.out_of_memory WHAT HOW MODE

WHAT is native or plain; HOW is value or gradient. Prints the outcome, and raises if the next call is not right.
"""
import resource
import sys

import mindspore as ms
import numpy as np
from mindspore import Tensor

import ms_cosine_loss
from tests.by_hand.failure_modes.answer import MODES, Pairs, value_and_gradient
from tests.processes import first_line

# All pairs of MANY vectors: the losses take 1.6 GB, the vectors little. ROOM is enough for MindSpore's copy of the
# labels, 0.4 GB, so that it is the loss that runs out of memory.
MANY = 20000
ROOM = 1 << 30


def _address_space():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main(what, how, mode):
    """Calls the loss with memory limited, prints the outcome, and checks a small problem without the limit."""
    ms.set_context(mode=MODES[mode])
    x1, x2 = Tensor(np.ones((MANY, 1, 2), np.float32)), Tensor(np.ones((1, MANY, 2), np.float32))
    labels = Tensor(np.full((MANY, MANY), -1, np.int8))
    ms_cosine_loss.set_implementation(what)
    value_and_gradient(Pairs())
    loss = ms_cosine_loss.CosineEmbeddingLoss(reduction='none' if how == 'value' else 'mean', axis=2)
    call = loss if how == 'value' else ms.value_and_grad(loss, (0, 1))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + ROOM, most))
    try:
        found = call(x1, x2, labels)
        found = (found if how == 'value' else found[1][0]).asnumpy()
        said = f'a number, {found.flat[0]}'
    except (RuntimeError, MemoryError) as error:
        said = first_line(error)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    value_and_gradient(Pairs())
    print(said)


if __name__ == '__main__':
    main(*sys.argv[1:])
