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
"""Two workers against one: the example of data-parallel training, run by MindSpore's own launcher."""
import os
import pathlib
import socket
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest

from tests.st.evaluation import UNIT, assert_within

EXAMPLE = pathlib.Path(__file__).parents[2] / 'examples' / 'distributed.py'


def _free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def _run(*command):
    # The launcher starts the first `python` on PATH.
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ['PATH']])
    done = subprocess.run([str(each) for each in command], env={**os.environ, 'PATH': path}, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize('mode', ['graph', 'pynative'])
def test_two_workers_get_the_weights_of_one(mode):
    _run(sys.executable, EXAMPLE, '--mode', mode, '--out', 'one.npz')
    _run('msrun', '--worker_num=2', '--local_worker_num=2', f'--master_port={_free_port()}', '--join=True', EXAMPLE,
         '--mode', mode, '--out', 'two.npz')
    one, two = np.load('one.npz'), np.load('two.npz')
    assert set(one) == set(two)
    for name in one:
        assert np.abs(one[name]).max() > 0.05
        # Weights of about 1 after 32 steps, each of which sums in another order.
        assert_within(two[name].astype(np.float64), one[name], 32 * UNIT[ms.float32])
