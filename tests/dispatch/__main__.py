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
"""Prints what each loss launches on Ascend and on GPU, and writes the table if asked.

    python -m tests.dispatch [--loss plain] [--csv docs/data/launches.csv]

takes ten minutes on two cores, or one for plain alone.
"""
import argparse
import csv
import pathlib

from tests.dispatch.launches import CASE, COLUMNS, LOSSES, count_all


def main():
    """Counts, prints the table and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--loss', choices=LOSSES, help='count only this loss; the file keeps the rows of the others')
    parser.add_argument('--csv', type=pathlib.Path, help='also write the table to this file')
    arguments = parser.parse_args()
    rows = count_all(*filter(None, [arguments.loss]))
    for row in rows:
        print('  '.join(f'{row[name] or "-":>9}' for name in COLUMNS))
    if arguments.csv:
        if arguments.loss:
            counted = {tuple(row[name] for name in CASE): row for row in rows}
            with arguments.csv.open(newline='', encoding='utf-8') as file:
                rows = [counted.get(tuple(row[name] for name in CASE), row) for row in csv.DictReader(file)]
        with arguments.csv.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows)


if __name__ == '__main__':
    main()
