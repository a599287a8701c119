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
"""The machine and the versions that a figure belongs to."""
import os
import platform

import mindspore
import numpy

import ms_cosine_loss


def _processor():
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:
            return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe(*modules):
    """One line: processor, cores, Python, and the version of each package."""
    versions = [f'{module.__name__} {module.__version__}' for module in (ms_cosine_loss, mindspore, numpy, *modules)]
    return f'{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, ' + ', '.join(versions)
