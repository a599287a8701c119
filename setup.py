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
import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r"^__version__ = '(.+)'$", (HERE / 'ms_cosine_loss' / '__init__.py').read_text('utf-8'), re.M)[1]

TEST = ['hypothesis>=6', 'mpmath>=1.3', 'pytest>=7']

setup(
    name='ms_cosine_loss',
    version=VERSION,
    description='The cosine embedding loss for MindSpore: right for every input, in both modes, on every device',
    long_description=(HERE / 'README.md').read_text('utf-8'),
    long_description_content_type='text/markdown',
    author='The ms_cosine_loss authors',
    license='Apache-2.0',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.9',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    keywords='mindspore loss cosine embedding siamese metric-learning distillation',
    packages=find_packages(include=['ms_cosine_loss', 'ms_cosine_loss.*']),
    package_data={'ms_cosine_loss': ['py.typed']},
    python_requires='>=3.9,<3.13',
    # MindSpore's wheels are built against NumPy 1 and fail at the first operation beside NumPy 2.
    install_requires=['mindspore>=2.7,<3', 'numpy>=1.25,<2'],
    extras_require={
        'test': TEST,
        'examples': ['matplotlib>=3.5', 'scikit-learn>=1.2', 'tqdm>=4'],
        'docs': ['myst-parser>=2', 'sphinx>=6'],
    },
)
