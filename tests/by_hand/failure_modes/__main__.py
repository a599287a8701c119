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
"""Tries every failure mode and prints what happened.

    python -m tests.by_hand.failure_modes [--seconds 60] [--steps 20000] [-k EXPRESSION] [--csv FILE]

takes about 50 minutes on two cores; ``python -m pytest tests/by_hand/failure_modes`` runs threads and training for less
time. The documentation uses docs/data/failure_modes.csv.
"""
import argparse
import csv
import os
import pathlib
import sys

import pytest

from tests.processes import ROOT


class _Table:
    """A pytest plugin that records the outcome of each test's fault, in the order of the tests."""

    def __init__(self):
        self.rows = []
        self._faults = {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            summary = item.function.__doc__.strip().splitlines()[0].rstrip('.')
            case = f' ({item.callspec.id})' if hasattr(item, 'callspec') else ''
            self._faults[item.nodeid] = summary + case

    def pytest_runtest_logreport(self, report):
        if report.when == 'call' or not report.passed:
            outcome = dict(report.user_properties).get('outcome', '')
            if not report.passed:
                outcome = f'FAILED: {report.longreprtext.splitlines()[-1]}'
            # Remove the path of the checkout.
            row = {'fault': self._faults[report.nodeid], 'outcome': outcome.replace(f'{ROOT}{os.sep}', '')}
            self.rows.append(row)
            print('\n|', ' | '.join(row.values()), '|', flush=True)


def main():
    """Tries all failure modes, prints the table and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--seconds', default='60', help='seconds for which the threads call')
    parser.add_argument('--steps', default='20000', help='number of training steps')
    parser.add_argument('-k', default='', help="tests to run, as a pytest -k expression")
    parser.add_argument('--csv', type=pathlib.Path, help='also write the table to this file')
    arguments = parser.parse_args()
    table = _Table()
    status = pytest.main(['-q', '--cases', 'all', str(pathlib.Path(__file__).parent), '--seconds', arguments.seconds,
                          '--steps', arguments.steps, '-k', arguments.k], plugins=[table])
    for row in (['fault', 'outcome'], ['---', '---'], *(row.values() for row in table.rows)):
        print('| ' + ' | '.join(row) + ' |')
    if arguments.csv:
        with arguments.csv.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, ['fault', 'outcome'], lineterminator='\n')
            writer.writeheader()
            writer.writerows(table.rows)
    sys.exit(status)


if __name__ == '__main__':
    main()
