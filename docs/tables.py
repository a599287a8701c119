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
"""Writes the tables of the README and the docs from the CSV files in docs/data, each between its two marks.

    python docs/tables.py [--check]

With --check it writes nothing, and fails if a table is not what its data say.
"""
import argparse
import csv
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
DATA = DOCS / 'data'


def _read(name):
    with (DATA / name).open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _table(head, rows):
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (head, ['---'] * len(head), *rows))


def versions():
    """Which MindSpore was tested on which Python, and with how many tests."""
    rows = _read('versions.csv')
    return _table(['MindSpore', 'Python', 'passed', 'failed', 'skipped (no torch)', 'seconds'],
                  [[row[name] for name in ('mindspore', 'python', 'passed', 'failed', 'skipped', 'seconds')]
                   for row in rows])


def _brief(outcome, reasons):
    """An outcome in a few words; a refusal points to its number in `reasons`."""
    off = re.match(r'wrong: AssertionError: ([\d.e+]+) times the error', outcome)
    if off:
        return f'wrong, {float(off[1]):.0e} times the error granted'
    if outcome == 'right' or outcome.startswith('wrong'):
        return outcome.split(':')[0]
    reason = outcome.split(': ', 1)[1].strip('- :').replace('`', '')
    return f'refused ({reasons.setdefault(reason, len(reasons) + 1)})'


def _both_modes(row, loss, reasons):
    graph, pynative = (_brief(row[f'{loss}, {mode}'], reasons) for mode in ('graph', 'pynative'))
    return graph if graph == pynative else f'graph: {graph}; PyNative: {pynative}'


def ways_in():
    """What came of each way to use a loss, then the reasons of what was refused."""
    losses, reasons = ('auto', 'native', 'plain', 'mindspore.nn'), {}
    table = _table(['', 'way', *losses],
                   [[row['topic'], row['way'], *(_both_modes(row, loss, reasons) for loss in losses)]
                    for row in _read('ways_in.csv')])
    return '\n'.join([table, '', 'Refused, in the words of what refused:', '',
                      *(f'{number}. {reason}' for reason, number in reasons.items())])


TABLES = {DOCS.parent / 'README.md': (versions,), DOCS.parent / 'README_CN.md': (versions,),
          DOCS / 'ways_in.md': (ways_in,)}


def _filled(text, make):
    begin, end = f'<!-- table: {make.__name__} -->\n', f'\n<!-- end of table: {make.__name__} -->'
    before, rest = text.split(begin)
    return before + begin + make() + end + rest.split(end)[1]


def main():
    """Writes or checks them all."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--check', action='store_true')
    arguments = parser.parse_args()
    stale = []
    for page, tables in TABLES.items():
        text = page.read_text('utf-8')
        filled = text
        for make in tables:
            filled = _filled(filled, make)
        if filled != text:
            stale.append(page.name)
            if not arguments.check:
                page.write_text(filled, 'utf-8')
    if arguments.check and stale:
        sys.exit(f'not what docs/data says: {", ".join(stale)}')


if __name__ == '__main__':
    main()
