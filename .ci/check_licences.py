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
"""Checks that every tracked source file, unless empty, begins with the licence: check_licences.py, in the checkout."""
import pathlib
import subprocess
import sys

SUFFIXES = {'.py': '#', '.sh': '#', '.cc': '//', '.h': '//'}
HEAD = '''Copyright 2026 The ms_cosine_loss authors

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
'''


def _comment_mark(path, text):
    """Returns the mark that starts a comment in this file; None if it is not a source file."""
    return SUFFIXES.get(path.suffix) or ('#' if text.startswith('#!') else None)


def _begins_with_licence(text, mark):
    """Returns whether `text` begins with the licence in comments, however indented."""
    expected = HEAD.splitlines()
    lines = text.splitlines()[:len(expected)]
    return all(line.startswith(mark) for line in lines) and [line[len(mark):].strip() for line in lines] == expected


def main():
    """Exits with a list of the files without the licence, if any."""
    tracked = subprocess.run(['git', 'ls-files', '-z'], check=True, capture_output=True, text=True).stdout
    checked, lacking = 0, []
    for path in map(pathlib.Path, tracked.rstrip('\0').split('\0')):
        text = path.read_bytes().decode('utf-8', 'replace')
        mark = _comment_mark(path, text)
        if mark is None or not text:
            continue
        checked += 1
        if text.startswith('#!'):
            text = text.split('\n', 1)[1]
        if not _begins_with_licence(text, mark):
            lacking.append(f'{path} does not begin with the licence')
    if lacking:
        sys.exit('\n'.join(lacking))
    print(f'{checked} source files begin with the licence')


if __name__ == '__main__':
    main()
