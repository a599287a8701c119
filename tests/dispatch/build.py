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
"""Builds stand-ins for CANN and CUDA for the installed MindSpore, and returns the environment to run Python with them.

MindSpore's wheel for x86-64 contains its Ascend and GPU backends, but not the libraries that they link against. A
stand-in is one library under all of their names: the sources in `stand_in`, and a function that returns 0 for every
other symbol that the backends need. It is built once for each MindSpore, in the user's cache folder.
"""
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

DEVICES = ('Ascend', 'GPU')
TRIED = ('2.10.0',)
"""MindSpore versions with which the stand-ins have been tested."""

_SOURCES = pathlib.Path(__file__).parent / 'stand_in'

# The names under which MindSpore links CANN or loads it at run time.
_CANN = ('acl_dvpp', 'acl_dvpp_mpi', 'acl_dvpp_op', 'acl_op_compiler', 'acl_tdt_channel', 'acl_tdt_queue', 'ascend_hal',
         'ascend_ml', 'ascendcl', 'c_sec', 'dummy_tls', 'ge_runner', 'graph', 'hccl', 'msprofiler', 'nnopbase', 'opapi',
         'parser_common', 'platform', 'profapi', 'runtime')
_OF_CANN = '_Z[A-Z]*N?K?2ge|acl|Adx|Hccl|hccl|hal|mstx|rt[A-Z]'
# MindSpore reads CUDA's and cuDNN's versions from file names.
_CUDA = ('libcuda.so.1', 'libcuda_ops.so.11', 'libcudart.so.11.6.55', 'libcudnn.so.8.5.0')
_NVCC = '#!/bin/sh\necho "Cuda compilation tools, release 11.6, V11.6.124"\n'


def _compiler():
    return shutil.which(os.environ.get('CXX', 'c++')) or shutil.which('g++')


def why_unavailable():
    """Returns why there is no stand-in on this machine; an empty string if there is one."""
    version = importlib.metadata.version('mindspore')
    if sys.platform != 'linux' or platform.machine() != 'x86_64':
        return 'only the MindSpore wheels for Linux on x86-64 contain the backends'
    if version not in TRIED:
        return f'the stand-ins have been tested with MindSpore {", ".join(TRIED)}, not with {version}'
    if not _compiler():
        return 'no C++ compiler'
    if not shutil.which('nm'):
        return 'no nm'
    return ''


def _symbols(library, which):
    """Returns the dynamic symbols of a library: (name, version), where the version may be ''."""
    listed = subprocess.run(['nm', '-D', which, library], check=True, capture_output=True, text=True).stdout
    return {tuple(line.split()[-1].replace('@@', '@').partition('@')[::2]) for line in listed.splitlines()}


def _function(number, name, body='return 0;', arguments=''):
    return f'long f{number}({arguments}) __asm__("{name}");\nlong f{number}({arguments}) {{ {body} }}\n'


def _build(folder, sources, generated, soname, *options):
    """Builds the library from its sources and the generated functions that they do not define."""
    objects = []
    for source in sources:
        objects.append(folder / f'{source}.o')
        subprocess.run([_compiler(), '-std=c++17', '-O2', '-fPIC', '-c', _SOURCES / source, '-o', objects[-1]],
                       check=True)
    defined = {name for each in objects for name in subprocess.run(
        ['nm', '--defined-only', each], check=True, capture_output=True, text=True).stdout.split()}
    functions = folder / 'functions.cc'
    declared = 'extern "C" void stand_in_kernel(const char *);\nextern "C" long stand_in_create(void *);\n'
    functions.write_text(declared + ''.join(_function(number, name, *rest) for number, (name, *rest)
                                            in enumerate(sorted(generated)) if name not in defined))
    library = folder / 'lib64/libstand_in.so'
    library.parent.mkdir()
    subprocess.run([_compiler(), '-shared', '-fPIC', '-w', f'-Wl,-soname,{soname}', '-o', library, *objects,
                    functions, '-ldl', '-lpthread', *options], check=True)


def _alias(folder, names):
    for name in names:
        (folder / 'lib64' / name).symlink_to('libstand_in.so')


def _build_ascend(folder, mindspore):
    backend = mindspore / 'lib/plugin'
    libraries = [backend / 'libmindspore_ascend.so.2', backend / 'libmindspore_ops_ascend.so',
                 *(backend / 'ascend' / f'lib{name}.so' for name in
                   ('d_collective', 'hccl_plugin', 'mindspore_ascend_res_manager', 'mindspore_graph_ir')),
                 *(backend / 'ascend').rglob('libshmem.so'), *(backend / 'ascend').rglob('libmf_*.so')]
    # Symbols of MindSpore's other libraries are not missing.
    held = set().union(*(_symbols(library, '--defined-only') for library in
                         [*libraries, *mindspore.glob('_c_expression*.so'), *(mindspore / 'lib').glob('*.so*'),
                          *(backend / 'ascend/ms_kernels_symmetric_memory').rglob('*.so')]))
    missing = set().union(*(_symbols(library, '--undefined-only') for library in libraries)) - held
    _build(folder, ['cann.cc', 'operators.cc'],
           {(name,) for name, _ in missing if re.match(_OF_CANN, name)}, 'libascendcl.so')
    _alias(folder, [f'lib{name}.so' for name in _CANN])
    # MindSpore checks CANN's version.
    (folder / 'compiler').mkdir()
    (folder / 'compiler/version.info').write_text('Version=9.1.0\n')


def _build_gpu(folder, mindspore):
    backend = mindspore / 'lib/plugin'
    missing = _symbols(backend / 'libmindspore_gpu.so.11.6', '--undefined-only')
    kernels = {name for name, _ in _symbols(backend / 'gpu/libcuda_ops.so.11', '--defined-only')}
    versions, generated = {}, set()
    for name, version in missing:
        if re.match(r'lib(cu|nvrtc)', version):
            versions.setdefault(version, []).append(name)
            generated.add((name, 'return stand_in_create(it);', 'void *it') if 'Create' in name else (name,))
        elif name in kernels:
            generated.add((name, f'stand_in_kernel("{name}"); return 0;'))
        elif re.match('cu[A-Z]', name):
            generated.add((name,))
    script = folder / 'versions.map'
    script.write_text(''.join(f'{version} {{ global: {"; ".join(names)}; }};\n' for version, names in versions.items()))
    # With this soname, it is loaded in place of MindSpore's own libcuda_ops, which would be found first.
    _build(folder, ['cuda.cc'], generated, 'libcuda_ops.so.11', f'-Wl,--version-script={script}')
    _alias(folder, [*versions, *_CUDA])
    # MindSpore selects its GPU backend by nvcc's version.
    (folder / 'bin').mkdir()
    (folder / 'bin/nvcc').write_text(_NVCC)
    (folder / 'bin/nvcc').chmod(0o755)


def _home(device):
    """Returns the folder of the stand-in, which is built if it does not exist yet."""
    mindspore = pathlib.Path(importlib.util.find_spec('mindspore').submodule_search_locations[0])
    sources = b''.join(path.read_bytes() for path in [pathlib.Path(__file__), *sorted(_SOURCES.iterdir())])
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    # MindSpore takes a folder named cann in the path of CANN's libraries as CANN's install folder.
    home = cache / 'ms_cosine_loss-dispatch' / '-'.join([
        importlib.metadata.version('mindspore'), f'python{sys.version_info.major}.{sys.version_info.minor}',
        hashlib.sha256(sources).hexdigest()[:12]]) / {'Ascend': 'cann', 'GPU': 'cuda'}[device]
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as building:
            folder = pathlib.Path(building) / home.name
            folder.mkdir()
            (_build_ascend if device == 'Ascend' else _build_gpu)(folder, mindspore)
            try:
                folder.rename(home)
            except OSError:
                # Another process was faster.
                if not home.exists():
                    raise
    return home


def environment(device):
    """Returns environment variables with which MindSpore finds the stand-in for the device.

    Raises:
        RuntimeError: If there is none; the message gives the reason.
    """
    reason = why_unavailable()
    if reason:
        raise RuntimeError(reason)
    home = _home(device)
    found = dict(os.environ)

    def put_first(variable, *paths):
        found[variable] = os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get(variable)])])

    put_first('LD_LIBRARY_PATH', home / 'lib64')
    # Ahead of the C library's dlsym and of the kernels in MindSpore's own folder.
    put_first('LD_PRELOAD', home / 'lib64/libstand_in.so')
    if device == 'Ascend':
        found.update(ASCEND_HOME_PATH=str(home), ASCEND_TOOLKIT_HOME=str(home), ASCEND_OPP_PATH=str(home / 'opp'))
    else:
        put_first('PATH', home / 'bin')
        found['CUDA_HOME'] = str(home)
    # Errors are results here; do not let MindSpore log them with their stack traces as well.
    found.setdefault('GLOG_v', '4')
    return found
