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
"""Runs every case with our loss and with MindSpore's own, in both modes, and prints the table.

    python -m tests.compatibility [--csv docs/data/compatibility.csv]

Each loss and mode runs in a separate process. A case that crashes it fails, and the next ones run in a new process.
"""
import argparse
import csv
import os
import subprocess
import sys
import tempfile

import mindspore as ms
from mindspore import nn

import ms_cosine_loss
from tests.compatibility import CASES
from tests.processes import first_line

MODES = {'graph': ms.GRAPH_MODE, 'pynative': ms.PYNATIVE_MODE}
LOSSES = ('auto', 'native', 'plain', 'mindspore.nn')
_OUTCOME = 'outcome: '


def _run(loss, mode, names):
    """Runs the cases in this process; prints a line when each starts and another when it ends."""
    ms.set_context(mode=MODES[mode])
    make_loss = nn.CosineEmbeddingLoss
    if loss != 'mindspore.nn':
        ms_cosine_loss.set_implementation(loss)
        make_loss = ms_cosine_loss.CosineEmbeddingLoss
    for name in names:
        print(f'\n{_OUTCOME}{name}: started', flush=True)
        try:
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                CASES[name].run(make_loss)
            outcome = 'right'
        except AssertionError as error:
            outcome = f'wrong: {first_line(error)}'
        except Exception as error:
            outcome = first_line(error)
        print(f'\n{_OUTCOME}{name}: {outcome}', flush=True)


def _outcomes(loss, mode):
    """Runs the cases in subprocesses; returns the outcome of each."""
    outcomes = {}
    while len(outcomes) < len(CASES):
        missing = [name for name in CASES if name not in outcomes]
        command = [sys.executable, '-m', 'tests.compatibility', '--loss', loss, '--mode', mode, '--cases', *missing]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in done.stdout.splitlines():
            if line.startswith(_OUTCOME):
                name, outcome = line[len(_OUTCOME):].split(': ', 1)
                outcomes[name] = outcome
        for name, outcome in outcomes.items():
            if outcome == 'started':
                outcomes[name] = f'the process died, status {done.returncode}'
        if not any(name in outcomes for name in missing):
            raise RuntimeError(f'no outcome from {command}')
    return outcomes


def main():
    """Runs the cases, prints the table and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--csv', help='also write the table to this file')
    parser.add_argument('--loss', choices=LOSSES, help=argparse.SUPPRESS)
    parser.add_argument('--mode', choices=list(MODES), help=argparse.SUPPRESS)
    parser.add_argument('--cases', nargs='+', default=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loss:
        _run(arguments.loss, arguments.mode, arguments.cases)
        return
    columns = [(loss, mode) for loss in LOSSES for mode in MODES]
    outcomes = {column: _outcomes(*column) for column in columns}
    rows = [[case.topic, name, *(outcomes[column][name] for column in columns)] for name, case in CASES.items()]
    head = ['topic', 'case', *(f'{loss}, {mode}' for loss, mode in columns)]
    for row in (head, ['---'] * len(head), *rows):
        print('| ' + ' | '.join(row) + ' |')
    if arguments.csv:
        with open(arguments.csv, 'w', newline='') as file:
            csv.writer(file, lineterminator='\n').writerows([head, *rows])


if __name__ == '__main__':
    main()
