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
"""The kernel called directly: threads that share it, and processes that are forked from one that used it."""
import pathlib
import subprocess
import sys
import textwrap
import threading

import numpy as np

from benchmarks.kernel import Kernel

ROWS, LENGTH = 700, 300


def _kernel(seed=0):
    rng = np.random.default_rng(seed)
    x1, x2 = (rng.standard_normal((ROWS, LENGTH)).astype(np.float32) for _ in range(2))
    return Kernel(x1, x2, rng.choice([-1, 1], ROWS).astype(np.int32), 0.1)


def test_several_threads_at_once_get_what_one_gets():
    expected = [_kernel(seed) for seed in range(4)]
    for kernel in expected:
        kernel.both()
    found = [_kernel(seed) for seed in range(4)]

    def run(kernel):
        for _ in range(50):
            kernel.both()

    threads = [threading.Thread(target=run, args=(kernel,)) for kernel in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each, other in zip(found, expected):
        for result, truly in zip(each.results(), other.results()):
            assert np.abs(truly).max() > 0
            np.testing.assert_array_equal(result, truly)


def test_a_forked_child_has_threads_of_its_own():
    # The parent's are asleep in the pool that the child inherits.
    code = textwrap.dedent("""
        import os
        from tests.ut.test_kernel import _kernel

        def started_by_a_call():
            before = os.listdir('/proc/self/task')
            kernel.both()
            return len(set(os.listdir('/proc/self/task')).difference(before))

        kernel, processors = _kernel(), len(os.sched_getaffinity(0))
        assert started_by_a_call() == processors - 1
        expected = [each.copy() for each in kernel.results()]
        child = os.fork()
        for each in kernel.results():
            each[...] = 0
        started = started_by_a_call()
        same = all((each == truly).all() for each, truly in zip(kernel.results(), expected))
        if child == 0:
            os._exit(0 if same and started == processors - 1 else 1)
        assert os.waitpid(child, 0)[1] == 0 and same
        print('same')
        """)
    finished = subprocess.run([sys.executable, '-c', code], check=False, text=True, capture_output=True, timeout=120,
                              cwd=pathlib.Path(__file__).parents[2])
    assert finished.stdout.endswith('same\n'), finished.stderr
