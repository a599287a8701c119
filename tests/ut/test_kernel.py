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
"""The kernel called directly, from concurrent threads and forked processes, and definitions it shares with Python."""
import pathlib
import re
import runpy
import struct
import subprocess
import sys
import textwrap
import threading
import unittest.mock

import numpy as np
import pytest

from benchmarks.kernel import Kernel
from ms_cosine_loss.implementations import native

HERE = pathlib.Path(__file__).parents[2]

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
    # The parent's threads do not exist in the child, although it inherits the pool.
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
                              cwd=HERE)
    assert finished.stdout.endswith('same\n'), finished.stderr


def _enumerators(header, name):
    source = (HERE / 'kernel' / header).read_text('utf-8')
    [listed] = re.findall(rf'enum (?:class )?{name}\b[^{{]*{{([^}}]*)}}', source)
    return [each.split('=')[0].strip() for each in listed.split(',')]


def test_python_and_the_kernel_agree_on_what_a_call_means():
    reductions = _enumerators('problem.h', 'Reduction')
    assert reductions == [f'k{name.capitalize()}' for name in native._REDUCTIONS]
    packed = native._packed(2.5, 'sum', -3, 7).asnumpy()
    expected = {'kEps': struct.unpack('<q', struct.pack('<d', 2.5))[0], 'kReduction': reductions.index('kSum'),
                'kAxis': -3, 'kThreads': 7}
    assert dict(zip(_enumerators('interface.h', 'Setting'), packed)) == expected
    places = _enumerators('interface.h', 'Input')
    assert [places[i] for i in (native._X1, native._X2, native._LABELS, native._MARGIN, native._UPSTREAM)] == [
        'kLogits1', 'kLogits2', 'kLabels', 'kMargin', 'kUpstream']
    assert f'kMaxRank = {native.MAX_RANK};' in (HERE / 'kernel' / 'problem.h').read_text('utf-8')


def _setup(**environment):
    """Runs setup.py with setuptools.setup mocked; returns its globals."""
    # The version comes from the package's sources, which are absent where an installed package is tested.
    with unittest.mock.patch('setuptools.setup'), \
            unittest.mock.patch('pathlib.Path.read_text', return_value="__version__ = '0'"), \
            unittest.mock.patch.dict('os.environ', MS_COSINE_LOSS_OPENMP='', **environment):
        return runpy.run_path(str(HERE / 'setup.py'))


@pytest.mark.parametrize(('platform', 'sets'), [('linux-x86_64', {'baseline', 'avx2', 'avx512'}),
                                                ('linux-aarch64', {'baseline'})])
def test_a_build_for_another_platform_takes_its_instruction_sets(platform, sets):
    # A cross-build sets this variable to its target platform.
    assert set(_setup(_PYTHON_HOST_PLATFORM=platform)['INSTRUCTION_SETS']) == sets


def test_the_kernel_is_tested_with_the_flags_that_it_is_installed_with():
    code = ('source test/build.sh; echo "${flags[@]}"; '
            'for set in "${!set_flags[@]}"; do echo "$set ${set_flags[$set]}"; done')
    printed = subprocess.run(['bash', '-c', code], check=True, text=True, capture_output=True, cwd=HERE / 'kernel')
    flags, *sets = [line.split() for line in printed.stdout.splitlines()]
    setup = _setup()
    assert {name: given for name, *given in sets} == setup['INSTRUCTION_SETS']
    # Tests add warnings; installed builds add flags for optimization and for a shared library.
    installed = {'-O3', '-fPIC', '-fvisibility=hidden', '-fno-fast-math', '-g0'}
    assert set(flags) - {'-Wall', '-Wextra', '-Werror'} == set(setup['FLAGS']) - installed
