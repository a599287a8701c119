// Copyright 2026 The ms_cosine_loss authors
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
// http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

#include "all_pairs.h"

#include <algorithm>
#include <vector>

#include "thread_pool.h"

namespace ms_cosine_loss {
namespace {

// Coefficients that are kept at a time: 2 MiB of them, or those of one row of tiles.
constexpr int64_t kSlabPairs = int64_t{1} << 18;

}  // namespace

void write_all_pairs(const Problem &problem, const InstructionSet &set, int threads, MarginSum *by_margin) {
  const AllPairs &all = problem.all_pairs;
  const int64_t rows = all.rows.length, columns = all.columns.length, blocks = problem.pairs / all.pairs();
  const int64_t row_tiles_each = std::max(int64_t{1}, kSlabPairs / (columns * kTileRows));
  const int64_t rows_each = std::min(rows, row_tiles_each * kTileRows);
  const int64_t blocks_each = std::min(blocks, std::max(int64_t{1}, kSlabPairs / all.pairs()));
  std::vector<double> cross(blocks_each * rows_each * all.stride());
  std::vector<double> self1(blocks_each * all.column_tiles() * rows), self2(blocks_each * all.row_tiles() * columns);
  std::vector<double> sums2(rows_each < rows ? columns * problem.length : 0);
  for (int64_t block = 0; block < blocks; block += blocks_each) {
    const int64_t block_count = std::min(blocks_each, blocks - block);
    std::fill(sums2.begin(), sums2.end(), 0);
    for (int64_t row = 0; row < rows; row += rows_each) {
      const int64_t row_count = std::min(rows_each, rows - row), row_tiles = parts_of(row_count, kTileRows);
      const Slab slab = {block,        row,          row_count,    row + row_count == rows,
                         cross.data(), self1.data(), self2.data(), sums2.empty() ? nullptr : sums2.data()};
      const int64_t first_tile = block * all.tiles() + row / kTileRows * all.column_tiles();
      run_in_parallel(threads, block_count * row_tiles * all.column_tiles(), [&](int64_t tile) {
        set.weigh_tile(problem, slab, first_tile + tile, &by_margin[first_tile + tile]);
      });
      const int64_t gathered = (row_tiles + parts_of(columns, kTileRows)) * parts_of(problem.length, kTileColumns);
      run_in_parallel(threads, block_count * gathered, [&](int64_t index) { set.gather_tile(problem, slab, index); });
    }
  }
}

}  // namespace ms_cosine_loss
