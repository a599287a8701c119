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
"""Saves measurements as CSV, and the command and machine of each file in machines.csv."""
import argparse
import csv
import os
import pathlib
import sys

from benchmarks.environment import describe


def argument_parser(description):
    """Returns an argument parser with the option that the benchmarks share."""
    parser = argparse.ArgumentParser(description=description.split('\n', maxsplit=1)[0])
    parser.add_argument('--csv', type=pathlib.Path, help='also write the figures to this file')
    return parser


def _command(name):
    policy = os.environ.get('OMP_WAIT_POLICY')
    return ' '.join([*([f'OMP_WAIT_POLICY={policy}'] if policy else []), 'python -m', f'benchmarks.{name}',
                     *sys.argv[1:]])


def _write(path, rows, replaced=None):
    """Writes `rows` after those already in `path` for which `replaced` is false."""
    kept = []
    if replaced and path.exists():
        with path.open(newline='', encoding='utf-8') as file:
            kept = [row for row in csv.DictReader(file) if not replaced(row)]
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows([*kept, *rows])


def printed(rows):
    """Prints each of `rows`, dicts with the same keys, as it is produced, and returns them as a list."""
    kept = []
    for row in rows:
        if not kept:
            print('\n|', ' | '.join(row), '|\n|' + ' --- |' * len(row))
        kept.append(row)
        print('|', ' | '.join(str(value) for value in row.values()), '|', flush=True)
    return kept


def save(path, rows, modules=(), mode=''):
    """Writes `rows` to `path`. With a `mode`, replaces only the rows of that mode."""
    _write(path, rows, (lambda row: row['mode'] == mode) if mode else None)
    data = f'{path.stem} {mode}'.strip()
    record = {'data': data, 'command': _command(path.stem), 'machine': describe(*modules)}
    _write(path.with_name('machines.csv'), [record], lambda row: row['data'] == data)
