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
"""The choice of the implementation, among mock ones and in the package."""
import dataclasses
import os
import pathlib

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

import ms_cosine_loss
from ms_cosine_loss._select import select
from ms_cosine_loss.implementations import IMPLEMENTATIONS, NATIVE, PLAIN, Conditions, Implementation
from tests.processes import run


def _implementation(name, *devices, **what):
    return Implementation(name, lambda *arguments: arguments, devices, **what)


FAST = _implementation('fast', 'CPU')
SECOND = _implementation('second', 'CPU')
BROKEN = _implementation('broken', 'CPU', 'GPU', unavailable='its library was not built')
GENERAL = _implementation('general', 'Ascend', 'GPU', 'CPU')
CPU = Conditions('CPU')


@pytest.mark.parametrize(('implementations', 'chosen'), [
    ((FAST, GENERAL), FAST), ((GENERAL, FAST), GENERAL), ((FAST, SECOND), FAST), ((SECOND, FAST), SECOND)])
def test_the_first_that_can_run_is_preferred(implementations, chosen):
    assert select('auto', CPU, implementations) == (chosen, '')


@pytest.mark.parametrize('device', ['GPU', 'Ascend'])
def test_one_for_another_device_is_passed_over_with_the_reason(device):
    assert select('auto', Conditions(device), (FAST, GENERAL)) == (
        GENERAL, f"'fast' cannot run: it runs on CPU, not on {device}")


@pytest.mark.parametrize('device', ['CPU', 'GPU', 'Ascend'])
def test_one_that_is_unavailable_is_passed_over_on_every_device(device):
    assert select('auto', Conditions(device), (BROKEN, GENERAL)) == (
        GENERAL, "'broken' cannot run: its library was not built")


def test_each_reason_is_named():
    refused = FAST, BROKEN, _implementation('slow', 'CPU', 'GPU')
    reasons = ("'fast' cannot run: it runs on CPU, not on Ascend; 'broken' cannot run: its library was not built; "
               "'slow' cannot run: it runs on CPU, GPU, not on Ascend")
    with pytest.raises(RuntimeError) as raised:
        select('auto', Conditions('Ascend'), refused)
    assert str(raised.value) == f"For 'CosineEmbeddingLoss', the implementation {reasons}."
    assert select('auto', Conditions('Ascend'), (*refused, GENERAL)) == (GENERAL, reasons)


@pytest.mark.parametrize('device', ['Davinci', 'cpu', ''])
def test_a_device_that_nobody_lists_is_named(device):
    with pytest.raises(RuntimeError, match=f"'general' cannot run: it runs on Ascend, GPU, CPU, not on {device}"):
        select('auto', Conditions(device), (GENERAL,))


@pytest.mark.parametrize('device', ['CPU', 'GPU', 'Ascend'])
def test_something_runs_on_every_device(device):
    assert device in select('auto', Conditions(device)).implementation.devices


@pytest.mark.parametrize(('limits', 'condition', 'reason'), [
    ({'can_be_sharded': False}, {'parallel_mode': 'semi_auto_parallel'},
     "it cannot be sharded in parallel mode 'semi_auto_parallel'"),
    ({'can_be_sharded': False}, {'parallel_mode': 'auto_parallel'},
     "it cannot be sharded in parallel mode 'auto_parallel'"),
    ({'can_become_onnx': False}, {'is_onnx_export': True},
     "ONNX has no operator for it; export inside use_implementation('plain')"),
    ({'max_rank': 4}, {'rank': 5}, 'it takes logits of at most 4 axes')])
def test_each_limit_refuses_its_own_condition_and_no_other(limits, condition, reason):
    limited, under = _implementation('limited', 'CPU', **limits), CPU._replace(**condition)
    assert select('auto', under, (limited, GENERAL)) == (GENERAL, f"'limited' cannot run: {reason}")
    others = {'can_be_sharded': False, 'can_become_onnx': False, 'max_rank': 4}
    for name in limits:
        del others[name]
    assert _implementation('otherwise limited', 'CPU', **others).refusal(under) == ''
    assert limited.refusal(CPU._replace(parallel_mode='data_parallel', rank=4)) == ''


def test_what_is_asked_for_by_name_is_not_replaced():
    assert select('general', CPU, (FAST, GENERAL)) == (GENERAL, 'asked for by name')
    with pytest.raises(RuntimeError, match="'fast' cannot run: it runs on CPU, not on GPU.$"):
        select('fast', Conditions('GPU'), (FAST, GENERAL))


def test_plain_comes_last_because_it_runs_everywhere():
    assert IMPLEMENTATIONS[-1].name == 'plain'
    assert set(IMPLEMENTATIONS[-1].devices) == {'Ascend', 'GPU', 'CPU'}
    assert not IMPLEMENTATIONS[-1].unavailable


def test_names_are_told_apart():
    assert len({implementation.name for implementation in IMPLEMENTATIONS}) == len(IMPLEMENTATIONS)


def test_a_record_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAST.unavailable = 'changed'


def test_setting_is_auto_at_the_start():
    assert ms_cosine_loss.get_implementation() == 'auto'


def test_block_restores_what_was_set():
    with ms_cosine_loss.use_implementation('plain'):
        assert ms_cosine_loss.get_implementation() == 'plain'
        with pytest.raises(KeyError), ms_cosine_loss.use_implementation('auto'):
            raise KeyError
        assert ms_cosine_loss.get_implementation() == 'plain'
    assert ms_cosine_loss.get_implementation() == 'auto'


@pytest.mark.parametrize('name', ['fast', '', 'Native', None, 1])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="must be one of .*'auto', 'native', 'plain'.*, but got"):
        ms_cosine_loss.set_implementation(name)
    assert ms_cosine_loss.get_implementation() == 'auto'


@pytest.mark.on_cpu
def test_status():
    status = ms_cosine_loss.get_implementation_status()
    assert (status.setting, status.selected, status.reason) == ('auto', 'native', '')
    assert status.instruction_set in ('baseline', 'avx2', 'avx512')
    assert 1 <= status.threads <= os.cpu_count()
    with ms_cosine_loss.use_implementation('plain'):
        status = ms_cosine_loss.get_implementation_status()
        assert (status.setting, status.selected, status.reason) == ('plain', 'plain', 'asked for by name')


@pytest.mark.on_cpu
def test_status_tells_of_the_last_choice_and_its_reason():
    x, labels = Tensor([[3.0, 4.0]]), Tensor([1], mindspore.int32)
    loss = ms_cosine_loss.CosineEmbeddingLoss()
    loss(x, x, labels)
    status = ms_cosine_loss.get_implementation_status()
    assert (status.last, status.last_reason) == ('native', '')
    many = Tensor(np.ones((1,) * 32, np.float32)).expand_dims(0)
    ms_cosine_loss.cosine_embedding_loss(many, many, Tensor(np.ones((1,) * 32, np.int32)), axis=0)
    status = ms_cosine_loss.get_implementation_status()
    assert (status.last, status.last_reason) == (
        'plain', "'native' cannot run: it takes logits of at most 32 axes")
    assert (status.selected, status.reason) == ('native', '')
    with ms_cosine_loss.use_implementation('plain'):
        loss(x, x, labels)
    status = ms_cosine_loss.get_implementation_status()
    assert (status.last, status.last_reason) == ('plain', 'asked for by name')


def _printed(code, **environment):
    return run(['-c', f'import ms_cosine_loss\n{code}'], os.curdir, 60, **environment)


STATUS = 'status = ms_cosine_loss.get_implementation_status()\nprint({})'


def test_plain_can_be_forced_from_outside():
    printed = _printed(STATUS.format("status.selected, '|', status.reason, '|', status.threads"),
                       MS_COSINE_LOSS_PLAIN='1')
    assert printed == "plain | 'native' cannot run: MS_COSINE_LOSS_PLAIN is set | 0"


def test_native_that_is_not_there_is_refused_with_the_reason():
    printed = _printed("try:\n    ms_cosine_loss.set_implementation('native')\nexcept RuntimeError as error:\n"
                       "    print(error)", MS_COSINE_LOSS_PLAIN='1')
    assert printed == ("For 'set_implementation', the implementation 'native' cannot run: "
                       "MS_COSINE_LOSS_PLAIN is set.")


def test_a_path_that_mindspore_does_not_allow_is_named(tmp_path):
    printed = _printed(STATUS.format("status.selected, '|', status.reason"),
                       MS_CUSTOM_AOT_WHITE_LIST=str(tmp_path))
    assert printed.startswith("plain | 'native' cannot run: MindSpore refuses the kernel (")
    assert str(tmp_path) in printed


@pytest.mark.on_cpu
def test_threads_follow_the_limits_of_the_user():
    assert _printed(STATUS.format('status.threads'), OMP_NUM_THREADS='1') == '1'
    assert _printed(STATUS.format('status.threads'), OMP_NUM_THREADS=' 1,4') == '1'
    limited = "import mindspore\nmindspore.set_context(runtime_num_threads=1)\n" + STATUS.format('status.threads')
    assert _printed(limited) == '1'


@pytest.mark.on_cpu
@pytest.mark.parametrize('instruction_set', ['', 'baseline', 'avx2', 'avx512', 'AVX2'])
def test_an_instruction_set_is_taken_or_refused(instruction_set):
    flags = {'baseline': (), 'avx2': ('avx2', 'fma', 'f16c'), 'avx512': ('avx512f', 'avx512bw', 'avx512dq', 'avx512vl')}
    processor = pathlib.Path('/proc/cpuinfo').read_text('utf-8').split()
    available = [name for name, needed in flags.items() if all(flag in processor for flag in needed)]
    expected = instruction_set or available[-1]
    if expected not in available:
        expected = ("fails with RuntimeError: For 'CosineEmbeddingLoss', the environment variable "
                    "'MS_COSINE_LOSS_INSTRUCTION_SET' must be "
                    f"'baseline', or 'avx2' or 'avx512' where the processor has it, but got '{instruction_set}'.")
    said = _printed(STATUS.format('status.instruction_set'), MS_COSINE_LOSS_INSTRUCTION_SET=instruction_set)
    assert said == expected


FORKED = """
import os
from mindspore import Tensor
x = Tensor([3.0, 4.0]), Tensor([4.0, 3.0]), Tensor(1)
if {has_computed}:
    ms_cosine_loss.cosine_embedding_loss(*x).asnumpy()
child = os.fork()
if child == 0:
    try:
        print(ms_cosine_loss.cosine_embedding_loss(*x), flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_process_forked_from_one_that_has_computed_is_refused():
    # It would wait for threads that do not exist in the child.
    assert _printed(FORKED.format(has_computed=True)).startswith(
        "For 'CosineEmbeddingLoss', this process was forked from one that had used it")
    # 4 ulp of 1 in float32, the tolerance of plain.
    assert abs(float(_printed(FORKED.format(has_computed=False))) - 0.04) <= 4 * 2.0 ** -23


def test_records_are_the_ones_of_the_package():
    assert (NATIVE.name, PLAIN.name) == ('native', 'plain')
    assert NATIVE.refusal(Conditions('GPU')) == 'it runs on CPU, not on GPU'
