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
"""Fixtures for all tests, such as each execution mode and implementation, and the choice of their combinations."""
import collections
import gc

import mindspore as ms
import pytest
from mindspore._c_expression import PyNativeExecutor_

from ms_cosine_loss import use_implementation
from ms_cosine_loss.implementations import IMPLEMENTATIONS, NATIVE, PLAIN


def pytest_addoption(parser):
    parser.addoption('--device', choices=['CPU', 'GPU', 'Ascend'], default='CPU', help='device to run the tests on')
    parser.addoption('--cases', choices=['each', 'rest', 'all'], default='each',
                     help='each: every parameter value in every mode and with every implementation; rest: the rest of '
                          'the cross product; all: both')


def pytest_configure(config):
    config.addinivalue_line('markers', 'on_cpu: checks behaviour that is specific to CPU')
    device = config.getoption('--device')
    if device != 'CPU':
        # Once per process, before anything runs on another device.
        try:
            ms.set_device(device)
        except (RuntimeError, ValueError) as error:
            raise pytest.UsageError(f'--device={device}: {str(error).splitlines()[0]}') from None


def _devices(item):
    """Returns the devices on which a test can run: those of the implementation that it names, else of plain."""
    asked = item.callspec.params.get('implementation') if hasattr(item, 'callspec') else None
    if '_native_forced' in item.fixturenames or item.get_closest_marker('on_cpu'):
        return NATIVE.devices
    return (asked if asked in IMPLEMENTATIONS else PLAIN).devices


_CONTEXT = ('mode', 'implementation', 'setting')


def _values(item):
    """Returns each parameter value of a test paired with its mode, with its implementation and with its setting."""
    if not hasattr(item, 'callspec'):
        return {None}
    context = [(name, item.callspec.indices.get(name)) for name in _CONTEXT]
    # One for each `parametrize`; pytest has no public API for the values that one call sets together.
    return {(part, *value) for value in enumerate(item.callspec._idlist) for part in context}


def each_value_once(items):
    """Returns a small subset of the tests, chosen greedily, in which each value meets each mode and implementation."""
    by_function = {}
    for item in items:
        by_function.setdefault(item.nodeid.partition('[')[0], []).append(item)
    chosen = set()
    for tests in by_function.values():
        values = {item: _values(item) for item in tests}
        missing, met = set().union(*values.values()), collections.Counter()
        while missing:
            # Break ties in favour of the values used least, so that all are used about equally often.
            best = max(tests, key=lambda item: (len(values[item] & missing), -sum(map(met.__getitem__, values[item]))))
            chosen.add(best)
            missing -= values[best]
            met.update(values[best])
    return chosen


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    device, cases = config.getoption('--device'), config.getoption('--cases')
    possible = [item for item in items if device in _devices(item)]
    chosen = set(possible) if cases == 'all' else each_value_once(possible)
    if cases == 'rest':
        chosen = set(possible) - chosen
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


def pytest_collection_finish():
    # MindSpore runs the garbage collector before it compiles a graph; do not let it traverse these objects each time.
    gc.collect()
    gc.freeze()


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=['graph', 'pynative'])
def mode(request):
    """Each execution mode, set for the whole test."""
    before = ms.get_context('mode')
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda implementation: implementation.name)
def implementation(request):
    """Each implementation, forced, so that its tests fail if it cannot run."""
    with use_implementation(request.param.name):
        yield request.param


@pytest.fixture(params=['auto', 'plain'])
def setting(request):
    """Each setting under which every input is accepted."""
    with use_implementation(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _no_leftovers_of_an_error():
    yield
    # After an exception inside a gradient, PyNative keeps recording, and every graph compiled later gets an unwanted
    # gradient.
    PyNativeExecutor_.get_instance().clear_res()


@pytest.fixture(autouse=True)
def _scratch_folder(tmp_path, monkeypatch):
    # A graph that fails to compile leaves its dump in the working directory.
    monkeypatch.chdir(tmp_path)
