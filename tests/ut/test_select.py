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
"""The choice of the implementation by itself, among made-up ones."""
import dataclasses

import pytest

from ms_cosine_loss._select import IMPLEMENTATIONS, Implementation, select

FAST = Implementation('fast', ('CPU',))
BROKEN = Implementation('broken', ('CPU', 'GPU'), 'its library was not built')
GENERAL = Implementation('general', ('Ascend', 'GPU', 'CPU'))
SAME_DEVICES = Implementation('second', ('CPU',))


@pytest.mark.parametrize(('device', 'implementations', 'chosen'), [
    ('CPU', (FAST, GENERAL), FAST),
    ('CPU', (GENERAL, FAST), GENERAL),
    ('CPU', (FAST, SAME_DEVICES), FAST),
    ('CPU', (SAME_DEVICES, FAST), SAME_DEVICES)])
def test_the_first_that_can_run_is_preferred(device, implementations, chosen):
    assert select(device, implementations) is chosen


@pytest.mark.parametrize('device', ['GPU', 'Ascend'])
def test_one_for_another_device_is_passed_over(device):
    assert select(device, (FAST, GENERAL)) is GENERAL


@pytest.mark.parametrize('device', ['CPU', 'GPU', 'Ascend'])
def test_one_that_is_unavailable_is_passed_over_on_every_device(device):
    assert select(device, (BROKEN, GENERAL)) is GENERAL


def test_each_reason_is_named_where_none_can_run():
    with pytest.raises(RuntimeError) as raised:
        select('Ascend', (FAST, BROKEN, Implementation('slow', ('CPU', 'GPU'))))
    assert str(raised.value) == (
        "For 'CosineEmbeddingLoss', no implementation can run: 'fast': it runs on CPU, not on Ascend; "
        "'broken': its library was not built; 'slow': it runs on CPU, GPU, not on Ascend.")


def test_a_reason_to_be_unavailable_goes_before_the_device():
    assert BROKEN.refusal('Ascend') == 'its library was not built'


def test_one_that_can_run_refuses_nothing():
    assert GENERAL.refusal('CPU') == ''


@pytest.mark.parametrize('device', ['Davinci', 'cpu', ''])
def test_a_device_that_nobody_lists_is_named(device):
    with pytest.raises(RuntimeError, match=f"'general': it runs on Ascend, GPU, CPU, not on {device}"):
        select(device, (GENERAL,))


@pytest.mark.parametrize('device', ['CPU', 'GPU', 'Ascend'])
def test_something_runs_on_every_device(device):
    assert device in select(device).devices


def test_plain_comes_last_because_it_runs_everywhere():
    assert IMPLEMENTATIONS[-1].name == 'plain'
    assert set(IMPLEMENTATIONS[-1].devices) == {'Ascend', 'GPU', 'CPU'}
    assert not IMPLEMENTATIONS[-1].unavailable


def test_names_are_told_apart():
    assert len({implementation.name for implementation in IMPLEMENTATIONS}) == len(IMPLEMENTATIONS)


def test_a_record_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAST.unavailable = 'changed'
