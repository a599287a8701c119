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
"""The report, `python -m ms_cosine_loss`: its numbers against truth, and that one broken part costs no other."""
import json
import os
import subprocess
import sys

import mindspore
import pytest

import ms_cosine_loss
from ms_cosine_loss import _report
from ms_cosine_loss.__main__ import main

PYTORCH, MINDSPORE = 0.00034258311711488076, 0.0003425479


def test_json_of_a_new_process(tmp_path):
    environment = {**os.environ, 'MS_COSINE_LOSS_PLAIN': '1'}
    done = subprocess.run([sys.executable, '-m', 'ms_cosine_loss', '--json'], capture_output=True, text=True,
                          cwd=tmp_path, env=environment, check=True)
    report = json.loads(done.stdout)
    assert report['versions']['mindspore'] == mindspore.__version__
    assert report['versions']['imported from'] == os.path.dirname(ms_cosine_loss.__file__)
    assert report['implementation']['runs'] == 'plain'
    assert report['implementation']['reason'] == "'native' cannot run: MS_COSINE_LOSS_PLAIN is set"
    assert report['implementation']['MS_COSINE_LOSS_PLAIN'] == '1'
    assert set(report['comparison']) == {'ms_cosine_loss', 'mindspore.nn'}


def test_numbers(implementation):
    report = _report.collect()
    for mode in ('graph', 'PyNative'):
        # Contract: 1e-15 from PyTorch in float64, 1e-7 from MindSpore in float32.
        assert abs(report['example']['float64'][mode] - PYTORCH) <= 1e-15
        assert abs(report['example']['float32'][mode] - MINDSPORE) <= 1e-7
    ours = report['comparison']['ms_cosine_loss']
    # Losses of about 1e-3: native is within 2 ulp of them, plain within 4 ulp of 1.
    assert ours['worst relative error'] <= (2 ** -22 if implementation.name == 'native' else 4 * 2 ** -23 / 1e-3)
    assert ours['forward, ms'] > 0
    assert ours['forward and backward, ms'] > 0


def test_text(monkeypatch, capsys):
    monkeypatch.setattr(_report, 'collect', lambda: {
        'versions': {'mindspore': '2.10.0', 'numpy': '1.26.4'},
        'implementation': {'runs': 'plain', 'reason': 'no compiler', 'instruction set': '', 'threads': 0},
        'example': {'float32': {'graph': 0.25, 'MindSpore documents': 0.5}},
        'comparison': {'ms_cosine_loss': {'forward, ms': 1.25}, 'mindspore.nn': {'forward, ms': 12.0}}})
    main([])
    assert capsys.readouterr().out.splitlines() == [
        'Versions',
        '  mindspore  2.10.0',
        '  numpy      1.26.4',
        '',
        'What computes the loss',
        '  runs    plain',
        '  reason  no compiler',
        '',
        'The published example',
        '  float32',
        '    graph                0.25',
        '    MindSpore documents  0.5',
        '',
        '1024 nearly parallel pairs of 512 in float32, graph mode',
        '                  forward, ms',
        '  ms_cosine_loss  1.2',
        '  mindspore.nn    12']


@pytest.mark.parametrize('part', ['_versions', '_implementation', '_example', '_comparison'])
def test_one_broken_part_costs_no_other(part, monkeypatch):
    parts = ('_versions', '_implementation', '_example', '_comparison')
    for each in parts:
        monkeypatch.setattr(_report, each, dict)

    def broken():
        raise RuntimeError('no such\n    device')

    monkeypatch.setattr(_report, part, broken)
    report = _report.collect()
    expected = {each.strip('_'): {} for each in parts}
    expected[part.strip('_')] = {'error': 'RuntimeError: no such device'}
    assert report == expected
