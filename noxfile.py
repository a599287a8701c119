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
"""Tests every supported MindSpore on every Python for which it has wheels.

    pip install nox
    nox                                                # everything, two hours on two cores; skips missing Pythons
    nox -s "suite(python='3.9', mindspore='2.7.0')"   # one combination, after `nox -s wheel`
    nox -s suite -- each                               # the README's tests instead of every case
    nox -s lint

One wheel of the last commit is built and installed in each environment. Each adds its result to docs/data/versions.csv,
which `python docs/tables.py` turns into the table of docs/platforms.md.
"""
import csv
import pathlib
import xml.etree.ElementTree as ElementTree

import nox

HERE = pathlib.Path(__file__).parent
TOOLS = HERE / '.ci' / 'requirements.txt'
RESULTS = HERE / 'docs' / 'data' / 'versions.csv'
FIELDS = ('mindspore', 'python', 'cases', 'passed', 'failed', 'skipped', 'seconds')
PYTHONS = {
    '2.7.0': ('3.9', '3.10', '3.11'),
    '2.7.2': ('3.9', '3.10', '3.11', '3.12'),
    '2.8.0': ('3.9', '3.10', '3.11', '3.12'),
    '2.9.0': ('3.9', '3.10', '3.11', '3.12'),
    '2.10.0': ('3.10', '3.11', '3.12'),
}

nox.options.default_venv_backend = 'venv'
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ['wheel', 'suite']


def _checkout(session):
    """Clones the last commit; `suite` deletes the package from it, so that only the installed one can be tested."""
    folder = pathlib.Path(session.create_tmp()).resolve() / 'checkout'
    session.run('rm', '-rf', str(folder), external=True, silent=True)
    session.run('git', 'clone', '-q', str(HERE), str(folder), external=True)
    return folder


def _wheels(session):
    return pathlib.Path(session.cache_dir).resolve() / 'wheels'


@nox.session
def lint(session):
    """Runs the gate's step lint on the working tree; pre-commit calls it."""
    session.install('-r', str(TOOLS))
    session.run(str(HERE / '.ci' / 'lint'), external=True)


@nox.session
def wheel(session):
    """Builds the wheel that `suite` installs."""
    session.install('build', '-c', str(TOOLS))
    session.run('rm', '-rf', str(_wheels(session)), external=True, silent=True)
    session.run('python', '-m', 'build', '-q', '--wheel', '--outdir', str(_wheels(session)), str(_checkout(session)),
                env={'MS_COSINE_LOSS_REQUIRE_NATIVE': '1'})


@nox.session
@nox.parametrize(('python', 'mindspore'), [(python, version) for version, pythons in PYTHONS.items()
                                           for python in pythons])
def suite(session, mindspore):
    """Runs all tests against the installed wheel."""
    built, = _wheels(session).glob('*.whl')
    session.install(f'{built}[test]', f'mindspore=={mindspore}')
    # A reused environment may have an older wheel of the same version.
    session.install('--force-reinstall', '--no-deps', str(built))
    checkout = _checkout(session)
    session.run('rm', '-r', str(checkout / 'ms_cosine_loss'), external=True)
    report = checkout / 'report.xml'
    session.chdir(checkout)
    cases, = session.posargs or ['all']
    # Record the results before a failure ends the session.
    session.run('python', '-m', 'pytest', '-q', '-n', '3', '--dist', 'worksteal', '--cases', cases,
                f'--junitxml={report}', 'tests', '--pyargs', 'ms_cosine_loss', success_codes=[0, 1])
    failed = _record(mindspore, session.python, cases, report)
    if failed:
        session.error(f'{failed} tests failed')


def _record(mindspore, python, cases, report):
    """Enters the totals of a pytest report into the table; returns how many tests failed."""
    totals = ElementTree.parse(report).getroot().find('testsuite').attrib
    failed = int(totals['failures']) + int(totals['errors'])
    skipped = int(totals['skipped'])
    rows = {}
    if RESULTS.exists():
        with RESULTS.open(newline='') as file:
            rows = {(row['mindspore'], row['python']): row for row in csv.DictReader(file)}
    rows[mindspore, python] = {'mindspore': mindspore, 'python': python, 'cases': cases,
                               'passed': int(totals['tests']) - failed - skipped, 'failed': failed, 'skipped': skipped,
                               'seconds': round(float(totals['time']))}
    ordered = [(version, each) for version, pythons in PYTHONS.items() for each in pythons]
    with RESULTS.open('w', newline='') as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows[key] for key in ordered if key in rows)
    return failed
