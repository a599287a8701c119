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
"""Ways to move a loss elsewhere: copies, files, other processes, other threads."""
import copy
import os
import pathlib
import pickle
import subprocess
import sys
import threading

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor, nn

from tests import truth
from tests.compatibility import case
from tests.compatibility.training import IN_FLOAT32, MARGIN, ROWS, Network, assert_trained, batches, sgd
from tests.st.evaluation import array, assert_within, normal, pair_losses, signs, tensor

X1, X2, LABELS = normal(1, (6, 5), ms.float32), normal(2, (6, 5), ms.float32), signs(3, 6)


def _inputs():
    return tensor(X1, ms.float32), tensor(X2, ms.float32), tensor(LABELS, ms.int32)


def _expected():
    return truth.reduced(pair_losses(X1, X2, LABELS, margin=MARGIN), 'mean')


def _assert_right(loss):
    assert_within(array(loss(*_inputs())), _expected(), IN_FLOAT32)


@case('transport', 'copy.deepcopy')
def deepcopy(make_loss):
    loss = make_loss(margin=MARGIN)
    _assert_right(loss)
    _assert_right(copy.deepcopy(loss))


@case('transport', 'pickle')
def pickled(make_loss):
    _assert_right(pickle.loads(pickle.dumps(make_loss(margin=MARGIN))))


_LOAD = """
import sys
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
assert 'ms_cosine_loss' not in sys.modules
ms.set_context(mode=ms.GRAPH_MODE)
inputs = [Tensor(each) for each in np.load('inputs.npz').values()]
np.save('found.npy', nn.GraphCell(ms.load('loss.mindir'))(*inputs).asnumpy())
"""


@case('transport', 'MindIR, loaded in another process and folder')
def mindir(make_loss):
    here, there = pathlib.Path('here').resolve(), pathlib.Path('there').resolve()
    here.mkdir()
    there.mkdir()
    ms.export(make_loss(margin=MARGIN), *_inputs(), file_name=str(here / 'loss'), file_format='MINDIR')
    (here / 'loss.mindir').rename(there / 'loss.mindir')
    np.savez(there / 'inputs.npz', *(each.asnumpy() for each in _inputs()))
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, '-c', _LOAD], cwd=there, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert_within(np.load(there / 'found.npy').astype(np.float64), _expected(), IN_FLOAT32)


@case('transport', 'checkpoint of a network that contains the loss')
def checkpoint(make_loss):
    network = Network(make_loss(margin=MARGIN))
    ms.save_checkpoint(network, 'network.ckpt')
    again = Network(make_loss(margin=MARGIN))
    assert ms.load_param_into_net(again, ms.load_checkpoint('network.ckpt')) == ([], [])
    assert set(network.parameters_dict()) == {'towers.tower1.weight', 'towers.tower2.weight'}


@case('transport', 'call from another Python thread')
def another_thread(make_loss):
    loss = make_loss(margin=MARGIN)
    _assert_right(loss)
    raised = []

    def work():
        try:
            _assert_right(loss)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


class _Rows:
    """Rows of the batches, which worker processes fetch."""

    def __getitem__(self, index):
        step, row = divmod(index, ROWS)
        return tuple(each[row] for each in _BATCHES[step])

    def __len__(self):
        return ROWS * len(_BATCHES)


_BATCHES = [tuple(each.asnumpy() for each in batch) for batch in batches()]


def _train_from_workers(make_loss, start_method):
    before = ds.config.get_multiprocessing_start_method()
    ds.config.set_multiprocessing_start_method(start_method)
    try:
        network = Network(make_loss(margin=MARGIN))
        # Start the kernel's threads before the workers.
        large = Tensor(np.ones((512, 512), np.float32))
        float(make_loss()(large, large, Tensor(np.ones(512, np.int32))))
        step = nn.TrainOneStepCell(network, sgd(network))
        step.set_train()
        rows = ds.GeneratorDataset(_Rows(), ['x1', 'x2', 'labels'], shuffle=False, num_parallel_workers=2,
                                   python_multiprocessing=True)
        for batch in rows.batch(ROWS).create_tuple_iterator(num_epochs=1):
            step(*batch)
    finally:
        ds.config.set_multiprocessing_start_method(before)
    assert_trained(network.towers)


@case('transport', 'forked data workers')
def forked_workers(make_loss):
    _train_from_workers(make_loss, 'fork')


@case('transport', 'spawned data workers')
def spawned_workers(make_loss):
    _train_from_workers(make_loss, 'spawn')
