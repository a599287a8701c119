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
"""A pytest plugin that selects the tests to run with a stand-in, and decides which outcomes pass.

    python -m tests.dispatch.on Ascend -m pytest -p tests.dispatch.judge --device Ascend
    python -m tests.dispatch.on GPU -m pytest -p tests.dispatch.judge --device GPU

On Ascend, each test must pass. On GPU nothing is computed, so a test may find wrong numbers, but every call that it
reaches must be launched. On both, a test may end with an error listed in `REFUSALS`.
"""
import dataclasses
import re

import pytest

SUITE = {
    'Ascend': ['test_value', 'test_gradient', 'test_second_order', 'test_dynamic_shape', 'test_compatibility'],
    'GPU': ['test_value.*(reductions|layouts|labels_dtype|views|empty_batch)',
            'test_gradient.*(reductions|layouts|broadcast|one_argument)',
            'test_second_order.*(products|vjp|jvp|jacrev|vmap)',
            'test_dynamic_shape.*(several_sizes|dtypes|last_axis)',
            'test_compatibility'],
}
"""The tests in tests/st that depend on what the device launches; on GPU, where nothing is computed, fewer."""

LEFT_OUT = {
    'Ascend': 'workers|Model.train|MindIR|pickle|checkpoint|thread',
    # The last two depend on whether values are finite.
    'GPU': 'workers|Model.train|MindIR|pickle|checkpoint|thread|DynamicLossScale|LossScaleCell',
}
"""Slow tests that launch nothing that the others do not."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A case that MindSpore rejects on a device, in plain and, as docs/data/launches.csv records, in its own losses."""

    device: str
    mode: str
    dtype: str
    match: str


REFUSALS = (
    # Our message for logits; MindSpore's own for labels, which mindspore.nn casts too.
    Refusal('GPU', 'PyNative', 'bfloat16', "bfloat16 needs graph mode|For 'Cast', it does not support.*BFloat16"),
)


def _is_wrong_number(error):
    # pytest.raises fails with an exception that is not an AssertionError.
    return isinstance(error, (AssertionError, pytest.fail.Exception))


def pytest_collection_modifyitems(config, items):
    device = config.getoption('--device')

    def is_asked_for(item):
        return (any(re.match(f'tests/st/{part}', item.nodeid) for part in SUITE[device])
                and not re.search(LEFT_OUT[device], item.name))

    config.hook.pytest_deselected(items=[item for item in items if not is_asked_for(item)])
    items[:] = filter(is_asked_for, items)


def _judge(item, outcome):
    if outcome.excinfo is None:
        return
    device, error = item.config.getoption('--device'), outcome.excinfo[1]
    is_refused = any(refusal.device == device and re.search(refusal.match, str(error), re.DOTALL)
                     for refusal in REFUSALS)
    if is_refused or device == 'GPU' and _is_wrong_number(error):
        outcome.force_result(None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    _judge(item, (yield))


# PyNative reports a failed launch at the next synchronization, which may be here.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    _judge(item, (yield))
