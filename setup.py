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
import os
import pathlib
import re
import sys
import sysconfig

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r"^__version__ = '(.+)'$", (HERE / 'ms_cosine_loss' / '__init__.py').read_text('utf-8'), re.M)[1]

# The tests also run setup.py, which needs setuptools.
TEST = ['hypothesis>=6', 'mpmath>=1.3', 'onnxruntime>=1.16', 'pytest>=7', 'pytest-xdist>=3.2', 'setuptools>=70.1']


def is_set(variable):
    return os.environ.get(variable, '0') not in ('', '0')


ARITHMETIC = 'kernel/arithmetic.cc'
KERNEL = sorted({f'kernel/{path.name}' for path in (HERE / 'kernel').glob('*.cc')} - {ARITHMETIC})
LIBRARY = 'libms_cosine_loss.so'
FAILURE = 'native_build_failure.txt'
# Contraction and -ffast-math, which the environment may set, would break the error terms of sums and products; the
# kernel calls fused operations explicitly. -g0 because Python's own flags may add debug information, which is larger
# than the code.
FLAGS = ['-std=c++17', '-O3', '-fPIC', '-fvisibility=hidden', '-fno-fast-math', '-ffp-contract=off', '-pthread',
         '-Wno-psabi', '-g0']
# Never unload the library: the pool's threads sleep in its code.
LINK_FLAGS = ['-pthread', '-Wl,-z,nodelete']
if is_set('MS_COSINE_LOSS_OPENMP'):
    FLAGS.append('-fopenmp')
    LINK_FLAGS.append('-fopenmp')
INSTRUCTION_SETS = {'baseline': []}
# The wheel's target platform: it may be cross-compiled.
if sysconfig.get_platform() == 'linux-x86_64':
    avx2 = ['-mavx2', '-mfma', '-mf16c']
    INSTRUCTION_SETS['avx2'] = avx2
    INSTRUCTION_SETS['avx512'] = avx2 + ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl',
                                         '-mprefer-vector-width=512']


class BuildKernel(build_ext):
    """Builds the kernel as a plain shared library, independent of the Python and MindSpore versions."""

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split('.')[:-1], LIBRARY)

    def run(self):
        # setuptools resets `inplace` during the build and copies the result afterwards.
        self._is_in_place = bool(self.inplace)
        super().run()

    def build_extension(self, ext):
        target = pathlib.Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        folders = [target.parent, *([HERE / 'ms_cosine_loss'] if self._is_in_place else [])]
        for folder in folders:
            (folder / FAILURE).unlink(missing_ok=True)
        try:
            if sys.platform != 'linux':
                raise OSError('MindSpore runs compiled operators on Linux only')
            self._compile(target)
        except Exception as error:
            if is_set('MS_COSINE_LOSS_REQUIRE_NATIVE'):
                raise RuntimeError('the kernel could not be built, and MS_COSINE_LOSS_REQUIRE_NATIVE is set') from error
            reason = ' '.join(str(error).split())
            for folder in folders:
                # An existing library was built from older sources.
                (folder / LIBRARY).unlink(missing_ok=True)
                (folder / FAILURE).write_text(reason, 'utf-8')
            self._warn(reason)

    def _compile(self, target):
        headers = sorted(str(path) for path in pathlib.Path('kernel').glob('*.h'))
        objects = self.compiler.compile(KERNEL, output_dir=self.build_temp, depends=headers, extra_postargs=FLAGS)
        for name, flags in INSTRUCTION_SETS.items():
            objects += self.compiler.compile(
                [ARITHMETIC], output_dir=os.path.join(self.build_temp, name), depends=headers,
                macros=[('MS_COSINE_LOSS_INSTRUCTION_SET', name)], extra_postargs=FLAGS + flags)
        self.compiler.link_shared_object(objects, str(target), extra_postargs=LINK_FLAGS, target_lang='c++')

    def _warn(self, reason):
        lines = ['ms_cosine_loss is installed WITHOUT its compiled kernel:', '', reason, '',
                 'The loss works all the same, on MindSpore operators; on CPU it is several times slower.',
                 'Install a C++17 compiler (g++ or clang++) and install ms_cosine_loss again to get the kernel.']
        frame = '*' * 100
        print('\n'.join([frame, *(f'* {line}' for line in lines), frame]), file=sys.stderr)


class PlatformWheel(bdist_wheel):
    """A wheel for one platform but any Python, because the library does not depend on Python."""

    def get_tag(self):
        tag = super().get_tag()
        return tag if self.root_is_pure else ('py3', 'none', tag[2])


EXTENSIONS = [] if is_set('MS_COSINE_LOSS_PLAIN') else [
    Extension('ms_cosine_loss.libms_cosine_loss', KERNEL + [ARITHMETIC], optional=True)]

setup(
    name='ms_cosine_loss',
    version=VERSION,
    description="CosineEmbeddingLoss for MindSpore with PyTorch's semantics and a fused, accurate CPU kernel",
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
    ext_modules=EXTENSIONS,
    cmdclass={'build_ext': BuildKernel, 'bdist_wheel': PlatformWheel},
    python_requires='>=3.9,<3.13',
    # MindSpore's wheels are built against NumPy 1 and fail at the first operation with NumPy 2.
    install_requires=['mindspore>=2.7,<3', 'numpy>=1.25,<2'],
    extras_require={
        'test': TEST,
        'examples': ['matplotlib>=3.5', 'scikit-learn>=1.2', 'tqdm>=4'],
        # To run the pages' code: torch for the comparison, scikit-learn for the tutorials.
        'docs': ['furo', 'matplotlib>=3.5', 'myst-parser>=2', 'pytest>=7', 'scikit-learn>=1.2', 'sphinx>=6',
                 'sphinx-mathjax-offline', 'sybil>=6', 'torch'],
        # Later versions of JAX require NumPy 2.
        'benchmarks': ['jax<0.5', 'torch'],
    },
)
