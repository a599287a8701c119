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
"""The report, `python -m ms_cosine_loss`: its numbers against the truth, and that a broken part leaves the others."""
import copy
import functools
import json
import os
import re
import subprocess
import sys

import mindspore
import numpy as np
import pytest

import ms_cosine_loss
from ms_cosine_loss import _report
from ms_cosine_loss.__main__ import main
from tests import truth

PARTS = ('versions', 'implementation', 'example', 'comparison')
PYTORCH, MINDSPORE = 0.00034258311711488076, 0.0003425479


def _keys(part):
    """Yields every key except the names of environment variables."""
    for name, value in part.items():
        yield name
        if isinstance(value, dict) and name != 'environment':
            yield from _keys(value)


def test_json_of_a_new_process(tmp_path):
    environment = {**os.environ, 'MS_COSINE_LOSS_PLAIN': '1'}
    done = subprocess.run([sys.executable, '-m', 'ms_cosine_loss', '--json'], capture_output=True, text=True,
                          cwd=tmp_path, env=environment, check=True)
    report = json.loads(done.stdout)
    assert list(report) == ['schema_version', 'is_right', 'verdict', *PARTS]
    assert report['schema_version'] == 1
    assert report['is_right'] is True
    reason = "'native' cannot run: MS_COSINE_LOSS_PLAIN is set"
    assert report['verdict'] == f'The loss is right here, by plain ({reason}).'
    assert report['versions']['mindspore'] == mindspore.__version__
    assert report['versions']['imported_from'] == os.path.dirname(ms_cosine_loss.__file__)
    assert report['implementation'].pop('device_target')
    assert report['implementation'] == {'selected': 'plain', 'reason': reason, 'instruction_set': None, 'threads': None,
                                        'environment': {'MS_COSINE_LOSS_PLAIN': '1'}}
    assert set(report['comparison']) == {'ms_cosine_loss', 'mindspore_nn'}
    assert all(re.fullmatch('[a-z][a-z0-9]*(_[a-z0-9]+)*', name) for name in _keys(report))


@functools.cache
def _collected(implementation):
    return _report.collect()


@pytest.fixture
def report(implementation):
    """A modifiable copy of the report under each implementation."""
    return copy.deepcopy(_collected(implementation.name))


def test_numbers(report):
    selected = report['implementation']['selected']
    for mode in ('graph', 'pynative'):
        # The contract: within 1e-15 of PyTorch in float64, within 1e-7 of MindSpore in float32.
        assert abs(report['example']['float64'][mode]['value'] - PYTORCH) <= 1e-15
        assert abs(report['example']['float32'][mode]['value'] - MINDSPORE) <= 1e-7
    assert report['example']['float64']['pytorch_computes']['value'] == PYTORCH
    assert report['example']['float32']['mindspore_documents']['value'] == MINDSPORE
    ours = report['comparison']['ms_cosine_loss']
    # Losses of about 1e-3: native is within 2 ulp of them, plain within 4 ulp of 1.
    assert ours['worst_relative_error'] <= (2 ** -22 if selected == 'native' else 4 * 2 ** -23 / 1e-3)
    assert ours['forward_ms'] > 0
    assert ours['forward_and_backward_ms'] > 0
    assert report['is_right'] is True
    assert report['verdict'].startswith(f'The loss is right here, by {selected} (')


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_errors_are_those_from_the_exact_number(report, dtype):
    x1, x2, labels = (np.array(each, dtype) for each in _report.EXAMPLE)
    exact = float(truth.reduced(truth.pair_losses(x1, x2, labels), 'mean'))
    row = report['example'][dtype]
    # Both are rounded from 50 digits to float64.
    assert row['exact'] == exact
    for name, judged in row.items():
        if name != 'exact':
            assert judged['relative_error'] == abs(judged['value'] - exact) / exact


def _spoil_the_example(mode, dtype, to):
    def spoil(report):
        row = report['example'][dtype]
        row[mode] = _report._judged(row['exact'] * to, row['exact'])
    return spoil


def _spoil_the_comparison(error):
    def spoil(report):
        report['comparison']['ms_cosine_loss']['worst_relative_error'] = error
    return spoil


@pytest.mark.parametrize(('spoil', 'said'), [
    (_spoil_the_example('graph', 'float32', 1.02), 'the published example in float32 gives 0.0003494'),
    (_spoil_the_example('pynative', 'float64', 1 + 2e-11), 'the published example in float64 gives 0.0003425'),
    (_spoil_the_example('graph', 'float64', float('nan')), 'the published example in float64 gives None in graph'),
    (_spoil_the_comparison(0.02), 'the loss of a nearly parallel pair has a relative error of 0.02'),
    (_spoil_the_comparison(None), 'the loss of a nearly parallel pair has a relative error of None')],
    ids=['graph', 'pynative', 'NaN', 'pairs', 'NaN of pairs'])
def test_a_wrong_number_is_told(report, monkeypatch, capsys, spoil, said):
    selected = report['implementation']['selected']
    spoil(report)
    for part in PARTS:
        monkeypatch.setattr(_report, f'_{part}', lambda value=report[part]: value)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 1
    verdict = capsys.readouterr().out.splitlines()[0]
    assert verdict.startswith(f'The loss is wrong here, by {selected}: {said}')


def test_native_is_allowed_2_ulp_and_plain_more():
    row = {mode: _report._judged(1 + 1e-6, 1.0) for mode in ('graph', 'pynative')}
    example = {'float32': {'exact': 1.0, **row}}
    comparison = {'ms_cosine_loss': {'worst_relative_error': 1e-6}}
    assert len(list(_report._wrong('native', example, comparison))) == 3
    assert list(_report._wrong('plain', example, comparison)) == []


def test_text(monkeypatch, capsys):
    monkeypatch.setattr(_report, 'collect', lambda: {
        'is_right': True, 'verdict': 'The loss is right here, by plain (no compiler).',
        'versions': {'ms_cosine_loss': '0.1.0', 'imported_from': '/here'},
        'implementation': {'selected': 'plain', 'reason': 'no compiler', 'instruction_set': None, 'threads': None,
                           'environment': {'MS_COSINE_LOSS_PLAIN': '1'}},
        'example': {'float32': {'exact': 0.25, 'graph': {'value': 0.25, 'relative_error': 0.0},
                                'pynative': {'value': None, 'relative_error': None},
                                'mindspore_documents': {'value': 0.5, 'relative_error': 1.0}}},
        'comparison': {'ms_cosine_loss': {'forward_ms': 1.25}, 'mindspore_nn': {'forward_ms': 12.0}}})
    main([])
    assert capsys.readouterr().out.splitlines() == [
        'The loss is right here, by plain (no compiler).',
        '',
        'Versions',
        '  ms_cosine_loss  0.1.0',
        '  imported from   /here',
        '',
        'What computes the loss',
        '  selected              plain',
        '  reason                no compiler',
        '  MS_COSINE_LOSS_PLAIN  1',
        '',
        'The published example',
        '  float32',
        '    exact                0.25',
        '    graph                0.25, relative error 0e+00',
        '    PyNative             not finite',
        '    MindSpore documents  0.5, relative error 1e+00',
        '',
        '1024 nearly parallel pairs of 512 in float32, graph mode',
        '                  forward ms',
        '  ms_cosine_loss  1.2',
        '  mindspore.nn    12']


@pytest.mark.parametrize('part', PARTS)
def test_one_broken_part_costs_no_other(part, monkeypatch, capsys):
    for each in PARTS:
        monkeypatch.setattr(_report, f'_{each}', dict)

    def broken():
        raise RuntimeError('no such\n    device')

    monkeypatch.setattr(_report, f'_{part}', broken)
    error = 'RuntimeError: no such device'
    expected = {'schema_version': 1, 'is_right': None,
                'verdict': f'Cannot tell whether the loss is right here. {part}: {error}',
                **dict.fromkeys(PARTS, {}), part: {'error': error}}
    assert _report.collect() == expected
    with pytest.raises(SystemExit) as ended:
        main(['--json'])
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out) == expected
