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
"""Checks that the sdist and the wheel contain what they should and nothing else: check_distribution.py SDIST WHEEL.

Run it in the checkout from which they were built.
"""
import pathlib
import subprocess
import sys
import tarfile
import zipfile

_LISTED = subprocess.run(['git', 'ls-files', '-z'], check=True, capture_output=True, text=True).stdout
TRACKED = set(_LISTED.rstrip('\0').split('\0'))
# Files that only the repository needs.
NOT_IN_SDIST = {name for name in TRACKED if name.startswith('.') or name.endswith('.gitignore')}
BY_SETUPTOOLS = ('PKG-INFO', 'setup.cfg', 'ms_cosine_loss.egg-info/')
LIBRARY = 'ms_cosine_loss/libms_cosine_loss.so'
IN_WHEEL = {name for name in TRACKED if name.startswith('ms_cosine_loss/')} | {LIBRARY}


def main(sdist, wheel):
    """Exits with a list of what is missing or superfluous, if anything."""
    with tarfile.open(sdist) as archive:
        in_sdist = {each.name.split('/', 1)[1] for each in archive.getmembers() if each.isfile()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith('/')}
        has_debug_information = LIBRARY in names and b'.debug_info' in archive.read(LIBRARY)
    in_wheel = {name for name in names if '.dist-info/' not in name}
    too_much = {name for name in in_sdist - TRACKED if not name.startswith(BY_SETUPTOOLS)}
    problems = [f'the sdist lacks {name}' for name in sorted(TRACKED - NOT_IN_SDIST - in_sdist)]
    problems += [f'the sdist should not contain {name}' for name in sorted(too_much | NOT_IN_SDIST & in_sdist)]
    problems += [f'the wheel lacks {name}' for name in sorted(IN_WHEEL - in_wheel)]
    problems += [f'the wheel should not contain {name}' for name in sorted(in_wheel - IN_WHEEL)]
    if '-py3-none-' not in wheel or wheel.endswith('-any.whl'):
        problems.append(f'{wheel} is not tagged for the platform and any Python')
    if not any(name.endswith('/LICENSE') for name in names):
        problems.append('the wheel lacks the licence')
    if has_debug_information:
        problems.append(f'{LIBRARY} contains debug information')
    if problems:
        sys.exit('\n'.join(problems))
    print(f'{pathlib.Path(sdist).name} and {pathlib.Path(wheel).name} contain what they should: {len(in_sdist)} '
          f'and {len(names)} files')


if __name__ == '__main__':
    main(*sys.argv[1:])
