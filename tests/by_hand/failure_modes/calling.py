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
"""Calls from eight threads at once: python -m tests.by_hand.failure_modes.calling WHAT SECONDS MODE.

WHAT is kernel, the library alone; native or plain, one thread at a time inside MindSpore; 'native at once' or 'plain at
once'; or product, MindSpore's multiplication, at once. Prints the number of calls, or what went wrong in how many
threads.
"""
import contextlib
import sys
import threading
import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

import ms_cosine_loss
from benchmarks.kernel import Kernel
from tests.by_hand.failure_modes.answer import MODES, TRIPLES, Pairs
from tests.processes import first_line

# Some are large enough for the kernel's own threads. Few rows, so that the rounding of a long mean does not matter.
ROWS = (1, 3, 64, 2, 70, 31, 50, 5)
COPIES = (1, 64, 1024, 300, 1000, 7, 1500, 999)


def _kernel(pairs):
    kernel = Kernel(pairs.x1, pairs.x2, pairs.labels, 0.0)

    def call():
        kernel.both()
        loss, *gradients = kernel.results()
        pairs.check(loss, gradients)

    return call


def _loss(pairs, lock):
    tensors = pairs.tensors()
    function = ms.value_and_grad(ms_cosine_loss.CosineEmbeddingLoss(), (0, 1))

    def call():
        with lock:
            loss, gradients = function(*tensors)
            loss, gradients = loss.asnumpy(), [each.asnumpy() for each in gradients]
        pairs.check(loss, gradients)

    return call


def _square(x):
    return ops.mul(x, x)


def _product(pairs):
    x1 = Tensor(pairs.x1)
    function = ms.grad(_square)

    def call():
        np.testing.assert_array_equal(function(x1).asnumpy(), 2 * pairs.x1)

    return call


def _caller(what, pairs, lock):
    if what == 'kernel':
        return _kernel(pairs)
    if what == 'product':
        return _product(pairs)
    return _loss(pairs, lock)


def main(what, seconds, mode):
    """Calls from all threads until the time is up, and prints the outcome."""
    ms.set_context(mode=MODES[mode])
    lock = contextlib.nullcontext() if what.endswith('at once') else threading.Lock()
    if what not in ('kernel', 'product'):
        ms_cosine_loss.set_implementation(what.split()[0])
    calls, wrong, errors = [0] * len(TRIPLES), [], []
    begin = time.monotonic()

    def work(index):
        try:
            call = _caller(what, Pairs(TRIPLES[index], ROWS[index], COPIES[index]), lock)
            while time.monotonic() < begin + float(seconds):
                call()
                calls[index] += 1
        except AssertionError as error:
            wrong.append(first_line(error))
        except Exception as error:
            errors.append(first_line(error))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(TRIPLES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        print(f'wrong numbers in {len(wrong)} threads: {wrong[0]}')
    elif errors:
        print(f'errors in {len(errors)} threads, one of them {errors[0]}')
    elif not all(calls):
        print('some threads made no call')
    else:
        print(f'right, all {sum(calls)} calls in {time.monotonic() - begin:.0f} s, {min(calls)} to '
              f'{max(calls)} per thread')


if __name__ == '__main__':
    main(*sys.argv[1:])
