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
"""The machine and the package versions of a measurement."""
import os
import platform

import mindspore
import numpy

import ms_cosine_loss
from ms_cosine_loss import get_implementation_status
from ms_cosine_loss._report import processor


def describe(*modules):
    """One line: processor, cores, the kernel's instruction set and threads, Python and package versions."""
    status = get_implementation_status()
    versions = [f'{module.__name__} {module.__version__}' for module in (ms_cosine_loss, mindspore, numpy, *modules)]
    return (f'{processor()}, {os.cpu_count()} cores, kernel on {status.instruction_set} with {status.threads} threads, '
            f'Python {platform.python_version()}, ' + ', '.join(versions))
