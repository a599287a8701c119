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
"""Prints the report: ``python -m ms_cosine_loss [--json]``."""
import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from ms_cosine_loss import _report


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Prints the report; exits with 1 if a number is wrong or missing."""
    parser = argparse.ArgumentParser(
        prog='python -m ms_cosine_loss',
        description='Checks the loss on this machine. Prints versions, the implementation and why it runs, a published '
                    'example, speed and error. Exits with 1 if a number is wrong or missing.')
    parser.add_argument('--json', action='store_true', help='for a bug report')
    form = _report.as_json if parser.parse_args(arguments).json else _report.as_text
    report = _report.collect()
    print(form(report))
    if not report['is_right']:
        sys.exit(1)


if __name__ == '__main__':
    main()
