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
"""Accuracy and AUC of examples/digit_verification.py for several margins.

    python -m benchmarks.margin [--margins 0 0.2 0.4 0.6 0.8 0.9] [--seeds 0 1] [--epochs 3]
                               [--csv docs/data/margin.csv]

trains once for each margin and seed.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

from benchmarks import records

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / 'examples' / 'digit_verification.py'


def _rows(margins, seeds, epochs):
    for margin in margins:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                printed = subprocess.run(
                    [sys.executable, str(EXAMPLE), '--margin', margin, '--seed', seed, '--epochs', epochs,
                     '--out', folder],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
            accuracy, auc = re.search(r'after training +accuracy ([\d.]+) +AUC ([\d.]+)', printed).groups()
            yield {'margin': margin, 'seed': seed, 'accuracy': accuracy, 'auc': auc}


def main():
    """Trains, prints the table and writes it where asked."""
    parser = records.argument_parser(__doc__)
    parser.add_argument('--margins', nargs='+', default=['0', '0.2', '0.4', '0.6', '0.8', '0.9'])
    parser.add_argument('--seeds', nargs='+', default=['0', '1'])
    parser.add_argument('--epochs', default='3')
    arguments = parser.parse_args()
    rows = records.printed(_rows(arguments.margins, arguments.seeds, arguments.epochs))
    if arguments.csv:
        records.save(arguments.csv, rows)


if __name__ == '__main__':
    main()
