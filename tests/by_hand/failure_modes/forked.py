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
"""Computes a loss in a process forked from one that has computed a loss.

    python -m tests.by_hand.failure_modes.forked WAY WHAT PARENT CHILD

WHAT is native or plain; PARENT and CHILD are modes. Prints the outcome in the child. The caller must kill it if it
hangs.
"""
import multiprocessing
import os
import sys

import mindspore as ms
import mindspore.dataset as ds
import mindspore.multiprocessing
import numpy as np

import ms_cosine_loss
from tests.by_hand.failure_modes.answer import MODES, Pairs, value_and_gradient
from tests.processes import first_line

# Large enough for the kernel to start threads.
LARGE = {'rows': 64, 'copies': 1024}


def _compute(mode):
    ms.set_context(mode=MODES[mode])
    value_and_gradient(Pairs(**LARGE))


def _said(mode):
    try:
        _compute(mode)
        return 'right'
    except Exception as error:
        return first_line(error)


def _by_os_fork(mode):
    child = os.fork()
    if child == 0:
        print(_said(mode), flush=True)
        os._exit(0)
    os.waitpid(child, 0)


def _by_pool(mode):
    with multiprocessing.get_context('fork').Pool(2) as pool:
        print(pool.apply(_said, (mode,)))


def _say(mode):
    print(_said(mode), flush=True)


def _by_mindspore(mode):
    mindspore.multiprocessing.set_start_method('fork')
    child = mindspore.multiprocessing.Process(target=_say, args=(mode,))
    child.start()
    child.join()
    if child.exitcode:
        print(f'killed by signal {-child.exitcode}')


class _Rows:
    def __init__(self, mode):
        self._mode = mode

    def __getitem__(self, index):
        return (np.array(_said(self._mode)),)

    def __len__(self):
        return 2


def _by_data_worker(mode):
    ds.config.set_multiprocessing_start_method('fork')
    rows = ds.GeneratorDataset(_Rows(mode), ['said'], num_parallel_workers=2, python_multiprocessing=True)
    for said, in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
        last = str(said)
    print(last)


WAYS = {'os.fork': _by_os_fork, 'multiprocessing.Pool': _by_pool, 'a data worker': _by_data_worker,
        'mindspore.multiprocessing.Process': _by_mindspore}


def main(way, what, parent, child):
    """Computes in this process, then in the child."""
    ms_cosine_loss.set_implementation(what)
    _compute(parent)
    WAYS[way](child)


if __name__ == '__main__':
    main(*sys.argv[1:])
