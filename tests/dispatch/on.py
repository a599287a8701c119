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
"""Runs Python with the stand-in for a device.

    python -m tests.dispatch.on Ascend SCRIPT.py [ARGUMENTS]
    python -m tests.dispatch.on GPU -m pytest tests/st --device GPU

builds the stand-in first if necessary.
"""
import os
import sys

from tests.dispatch import build


def main():
    """Replaces this process with that Python."""
    if len(sys.argv) < 3 or sys.argv[1] not in build.DEVICES:
        sys.exit(__doc__)
    try:
        environment = build.environment(sys.argv[1])
    except RuntimeError as error:
        sys.exit(f'no stand-in for {sys.argv[1]}: {error}')
    os.execve(sys.executable, [sys.executable, *sys.argv[2:]], environment)


if __name__ == '__main__':
    main()
