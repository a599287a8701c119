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
"""Checks that the sdist and the wheel hold what they should and nothing else: check_distribution.py SDIST WHEEL."""
import pathlib
import sys
import tarfile
import zipfile

PACKAGE = {path.as_posix() for path in pathlib.Path('ms_cosine_loss').glob('*.py')} | {'ms_cosine_loss/py.typed'}
KERNEL = {path.as_posix() for path in pathlib.Path('kernel').rglob('*') if path.is_file()}
LIBRARY = 'ms_cosine_loss/libms_cosine_loss.so'
IN_SDIST = {'LICENSE', 'README.md', 'setup.py', 'pyproject.toml', 'examples/digit_verification.py',
            'benchmarks/speed.py', 'benchmarks/error.py', 'benchmarks/memory_limit.cc', 'tests/conftest.py',
            'tests/truth.py', 'tests/goldens/pytorch.json'}


def main(sdist, wheel):
    """Exits with what is missing or too much."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.split('/', 1)[1] for name in archive.getnames() if '/' in name}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if '.dist-info/' not in name}
        licensed = any(name.endswith('LICENSE') for name in archive.namelist())
    problems = [f'the sdist lacks {name}' for name in sorted((PACKAGE | KERNEL | IN_SDIST) - in_sdist)]
    problems += [f'the wheel lacks {name}' for name in sorted((PACKAGE | {LIBRARY}) - in_wheel)]
    problems += [f'the wheel should not hold {name}' for name in sorted(in_wheel - PACKAGE - {LIBRARY})]
    if LIBRARY in in_sdist:
        problems.append('the sdist should not hold the library')
    if '-py3-none-' not in wheel or wheel.endswith('-any.whl'):
        problems.append(f'{wheel} is not tagged for the platform and any Python')
    if not licensed:
        problems.append('the wheel lacks the licence')
    if problems:
        sys.exit('\n'.join(problems))
    print(f'{pathlib.Path(sdist).name} and {pathlib.Path(wheel).name} hold what they should')


if __name__ == '__main__':
    main(*sys.argv[1:])
