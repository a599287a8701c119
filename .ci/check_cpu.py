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
"""Checks that an x86-64 library uses only instructions that the processor has been found to have: check_cpu.py LIBRARY.

The copies of the arithmetic for AVX2 and AVX-512 are called only through the tables `avx2` and `avx512`, after cpuid
has been checked. Code reachable in any other way must stay within baseline x86-64, and code reachable through a table
within the features checked for it.
"""
import bisect
import sys

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from iced_x86 import CpuidFeature, Decoder, OpKind

# Baseline x86-64. CET's endbr64 is a no-op on older processors, and libgcc runs xgetbv only where cpuid reports it.
BASELINE = {'INTEL8086', 'INTEL186', 'INTEL286', 'INTEL386', 'INTEL486', 'X64', 'CPUID', 'CMOV', 'FPU', 'SSE', 'SSE2',
            'MULTIBYTENOP', 'PAUSE', 'CET_IBT', 'XSAVE'}
# By mangled name of the table: the features that the kernel checks, and those that every processor with AVX2 has.
AVX2 = BASELINE | {'SSE3', 'SSSE3', 'SSE4_1', 'SSE4_2', 'POPCNT', 'AVX', 'AVX2', 'FMA', 'F16C'}
TABLES = {'_ZN14ms_cosine_loss4avx2E': AVX2,
          '_ZN14ms_cosine_loss6avx512E': AVX2 | {'AVX512F', 'AVX512BW', 'AVX512DQ', 'AVX512VL'}}

EXECUTABLE = 0x4
RELATIVE, ABSOLUTE, GLOBAL_DATA = 8, 1, 6
FEATURES = {value: name for name, value in vars(CpuidFeature).items() if isinstance(value, int)}
NEAR_BRANCHES = {OpKind.NEAR_BRANCH16, OpKind.NEAR_BRANCH32, OpKind.NEAR_BRANCH64}


class Code:
    """The functions of a library: the features each needs, and the functions it refers to."""

    def __init__(self, elf):
        sections = [each for each in elf.iter_sections() if each['sh_flags'] & EXECUTABLE and each['sh_size']]
        self._ranges = [(each['sh_addr'], each['sh_addr'] + each['sh_size']) for each in sections]
        symbols = elf.get_section_by_name('.symtab')
        if symbols is None:
            sys.exit('the library is stripped; the check needs its symbols')
        self.symbols = {each.name: each for each in symbols.iter_symbols()}
        self.names = {each['st_value']: each.name for each in symbols.iter_symbols()
                      if each['st_info']['type'] in ('STT_FUNC', 'STT_GNU_IFUNC') and self.holds(each['st_value'])}
        for section in sections:
            self.names.setdefault(section['sh_addr'], section.name)
        self._starts = sorted(self.names)
        self.needs = {start: {} for start in self._starts}
        self.leads_to = {start: set() for start in self._starts}
        for section in sections:
            self._read(section)

    def holds(self, address):
        """Returns whether there is code at `address`."""
        return any(start <= address < end for start, end in self._ranges)

    def function_at(self, address):
        """Returns the start of the function that contains `address`."""
        return self._starts[bisect.bisect_right(self._starts, address) - 1]

    def _read(self, section):
        for instruction in Decoder(64, section.data(), ip=section['sh_addr']):
            function = self.function_at(instruction.ip)
            for feature in instruction.cpuid_features():
                self.needs[function].setdefault(FEATURES[feature], (instruction.ip, str(instruction)))
            targets = [instruction.near_branch_target for index in range(instruction.op_count)
                       if instruction.op_kind(index) in NEAR_BRANCHES]
            if instruction.is_ip_rel_memory_operand:
                targets.append(instruction.ip_rel_memory_address)
            self.leads_to[function] |= {self.function_at(each) for each in targets if self.holds(each)}

    def reached_from(self, starts):
        """Returns the functions reachable from `starts`, including `starts`."""
        reached, ahead = set(), list(starts)
        while ahead:
            function = ahead.pop()
            if function not in reached:
                reached.add(function)
                ahead += self.leads_to[function]
        return reached


def _pointers(elf):
    """Yields the place and the value of every address that the loader writes into the library's data."""
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection):
            names = elf.get_section(section['sh_link'])
            for each in section.iter_relocations():
                if each['r_info_type'] == RELATIVE:
                    yield each['r_offset'], each['r_addend']
                elif each['r_info_type'] in (ABSOLUTE, GLOBAL_DATA):
                    yield each['r_offset'], names.get_symbol(each['r_info_sym'])['st_value'] + each['r_addend']


def _roots(elf, code):
    """Returns the entry points of the code: through each table, and all others under ''."""
    tables = {name: range(code.symbols[name]['st_value'],
                          code.symbols[name]['st_value'] + code.symbols[name]['st_size']) for name in TABLES}
    roots = {name: set() for name in ('', *TABLES)}
    for place, address in _pointers(elf):
        if address and code.holds(address):
            of = next((name for name, places in tables.items() if place in places), '')
            roots[of].add(code.function_at(address))
    for name, table in tables.items():
        if not roots[name]:
            sys.exit(f'no pointer to code in {name}, {len(table)} bytes')
    exported = elf.get_section_by_name('.dynsym').iter_symbols()
    roots[''] |= {code.function_at(each['st_value']) for each in exported if code.holds(each['st_value'])}
    roots[''] |= {start for start, name in code.names.items() if name.startswith(('.', '_init', '_fini'))}
    return roots


def main(path):
    """Exits with a list of the functions that need too much, if any."""
    with open(path, 'rb') as file:
        elf = ELFFile(file)
        code = Code(elf)
        roots = _roots(elf, code)
    reached = {table: code.reached_from(starts) for table, starts in roots.items()}
    problems = []
    for table, allowed in {'': BASELINE, **TABLES}.items():
        for function in sorted(reached[table]):
            for feature, (address, text) in code.needs[function].items():
                if feature not in allowed:
                    problems.append(f'{code.names[function]} needs {feature}: {address:x} {text}; it runs '
                                    f'{"through " + table if table else "on every processor"}')
    if problems:
        sys.exit('\n'.join(problems))
    print(f'{len(reached[""])} functions run on every x86-64;', ', '.join(
        f'{len(reached[table])} through {table}' for table in TABLES))


if __name__ == '__main__':
    main(*sys.argv[1:])
