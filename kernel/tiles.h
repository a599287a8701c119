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

// Tiles of the pairs where every vector of x1 meets every vector of x2. Their three products (of vectors, and of
// coefficients with vectors) are made of one inner loop, in double, from panels of columns packed side by side.
#ifndef MS_COSINE_LOSS_KERNEL_TILES_H_
#define MS_COSINE_LOSS_KERNEL_TILES_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "blocks.h"
#include "dtypes.h"
#include "gradients.h"
#include "pairs.h"
#include "problem.h"
#include "sums.h"
#include "tail.h"
#include "vectors.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// Rows of a group and registers of a panel: as many sums as there are registers for.
#if defined(MS_COSINE_LOSS_HAS_AVX512)
constexpr int kGroup = 8, kVectors = 3;
#elif defined(MS_COSINE_LOSS_HAS_NEON)
constexpr int kGroup = 8, kVectors = 3;
#elif defined(MS_COSINE_LOSS_HAS_AVX2)
constexpr int kGroup = 4, kVectors = 3;
#else
constexpr int kGroup = 4, kVectors = 2;
#endif
constexpr int kPanel = kVectors * kWidth;
static_assert(kTileRows % kGroup == 0 && kTileColumns % kPanel == 0, "whole groups and panels");

// Terms of the sums that are taken at a time: a panel of them fits the first cache.
constexpr int kDepth = 128;
static_assert(kDepth % kWidth == 0, "whole registers");

// 230 KiB, on the stack: tasks must not throw.
struct alignas(64) Scratch {
  double rows[kTileRows][kDepth];
  double panel[kDepth * kPanel];
  double sums[kTileRows][kTileColumns];
  // For each group the terms that it has, as places in the panel.
  int32_t places[kTileRows / kGroup][kDepth];
  int counts[kTileRows / kGroup];
  double squares1[kTileRows];
  double squares2[kTileColumns];
};

// sums += rows * panel, for one group.
inline void multiply(const double *rows, const int32_t *places, int count, const double *panel, double *sums) {
  Doubles part[kGroup][kVectors] = {};
  for (const double *end = rows + count; rows != end; ++rows, ++places) {
    const double *from = panel + *places;
    Doubles columns[kVectors];
    for (int v = 0; v < kVectors; ++v) columns[v] = load(from + v * kWidth);
    for (int r = 0; r < kGroup; ++r) {
      // Not 0 + x, which is another number for -0 and so is added.
      const Doubles row = rows[r * kDepth] - Doubles{};
      for (int v = 0; v < kVectors; ++v) part[r][v] = fused_multiply_add(row, columns[v], part[r][v]);
    }
  }
  for (int r = 0; r < kGroup; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      double *to = sums + r * kTileColumns + v * kWidth;
      store<false>(load(to) + part[r][v], to);
    }
  }
}

// The sums of a tile over `depth` terms. `pack_rows(first row, first term, count, rows, places)` returns how many
// terms it took for a group, `pack_panel(first column, first term, count, panel)` takes all.
template <class PackRows, class PackPanel>
inline void multiply_tile(int rows, int columns, int64_t depth, const PackRows &pack_rows, const PackPanel &pack_panel,
                          Scratch *scratch) {
  const int groups = static_cast<int>(parts_of(rows, kGroup));
  for (int r = 0; r < groups * kGroup; ++r) std::memset(scratch->sums[r], 0, sizeof(scratch->sums[r]));
  for (int64_t start = 0; start < depth; start += kDepth) {
    const int count = depth - start < kDepth ? static_cast<int>(depth - start) : kDepth;
    for (int group = 0; group < groups; ++group) {
      scratch->counts[group] =
          pack_rows(group * kGroup, start, count, scratch->rows[group * kGroup], scratch->places[group]);
    }
    for (int column = 0; column < columns; column += kPanel) {
      pack_panel(column, start, count, scratch->panel);
      for (int group = 0; group < groups; ++group) {
        multiply(scratch->rows[group * kGroup], scratch->places[group], scratch->counts[group], scratch->panel,
                 &scratch->sums[group * kGroup][column]);
      }
    }
  }
}

// Some rows and columns of a block: where they begin, and the first of its pairs.
template <class T>
struct Tile {
  int64_t block;
  int64_t first_row;
  int64_t first_column;
  int rows;
  int columns;
  const T *x1;
  const T *x2;
  int64_t stride1;
  int64_t stride2;
  int64_t first_pair;

  Tile(const Problem &problem, int64_t index) {
    const AllPairs &all = problem.all_pairs;
    const int64_t within = index % all.tiles();
    block = index / all.tiles();
    first_row = within / all.column_tiles() * kTileRows;
    first_column = within % all.column_tiles() * kTileColumns;
    rows = static_cast<int>(all.rows.length - first_row < kTileRows ? all.rows.length - first_row : kTileRows);
    columns = static_cast<int>(all.columns.length - first_column < kTileColumns ? all.columns.length - first_column
                                                                                : kTileColumns);
    stride1 = all.rows.stride1;
    stride2 = all.columns.stride2;
    const Place place = place_of(all.outer, block);
    x1 = static_cast<const T *>(problem.x1) + place.at1 + first_row * stride1;
    x2 = static_cast<const T *>(problem.x2) + place.at2 + first_column * stride2;
    first_pair = place.pair + first_row * all.rows.stride_of_pairs + first_column * all.columns.stride_of_pairs;
  }
};

// The products and squares of a tile's vectors.
template <class T>
inline void sum_tile(const Problem &problem, const Tile<T> &tile, Scratch *scratch) {
  std::memset(scratch->squares1, 0, sizeof(scratch->squares1));
  std::memset(scratch->squares2, 0, sizeof(scratch->squares2));
  // Calls `use(k, elements)` for the elements of a part of a vector, and returns the sum of their squares.
  const auto square_of = [](const T *x, int count, const auto &use) {
    Doubles square = {};
    for (int k = 0; k < count; k += kWidth) {
      const Doubles elements = load_lanes(x + k, 1, count - k);
      square = fused_multiply_add(elements, elements, square);
      use(k, elements);
    }
    return sum_of_lanes(square);
  };
  const auto pack_rows = [&](int first, int64_t start, int count, double *rows, int32_t *places) {
    for (int k = 0; k < count; ++k) places[k] = k * kPanel;
    for (int r = 0; r < kGroup; ++r) {
      double *to = rows + r * kDepth;
      if (first + r >= tile.rows) {
        std::memset(to, 0, kDepth * sizeof(double));
        continue;
      }
      scratch->squares1[first + r] += square_of(tile.x1 + (first + r) * tile.stride1 + start, count,
                                                [to](int k, Doubles elements) { store<false>(elements, to + k); });
    }
    return count;
  };
  const auto pack_panel = [&](int first, int64_t start, int count, double *panel) {
    for (int c = 0; c < kPanel; ++c) {
      if (first + c >= tile.columns) {
        for (int k = 0; k < count; ++k) panel[k * kPanel + c] = 0;
        continue;
      }
      scratch->squares2[first + c] +=
          square_of(tile.x2 + (first + c) * tile.stride2 + start, count, [panel, c](int k, Doubles elements) {
            for (int i = 0; i < kWidth; ++i) panel[(k + i) * kPanel + c] = elements[i];
          });
    }
  };
  multiply_tile(tile.rows, tile.columns, problem.length, pack_rows, pack_panel, scratch);
}

// Calls `use(row, first pair, labels, cosines)` for each row of a tile; ignored pairs have no cosine.
template <bool kForGradient, class T, class Use>
inline void take_cosines(const Problem &problem, const Tile<T> &tile, Scratch *scratch, const Use &use) {
  sum_tile(problem, tile, scratch);
  const int64_t step = problem.all_pairs.columns.stride_of_pairs;
  double norms2[kTileColumns];
  for (int c = 0; c < tile.columns; ++c) norms2[c] = std::sqrt(scratch->squares2[c] + problem.eps);
  for (int r = 0; r < tile.rows; ++r) {
    const int64_t first_pair = tile.first_pair + r * problem.all_pairs.rows.stride_of_pairs;
    Label labels[kTileColumns];
    Cosine cosines[kTileColumns];
    int again[kTileColumns], again_count = 0;
    read_labels(problem, first_pair, step, tile.columns, labels);
    const double square1 = scratch->squares1[r], norm1 = std::sqrt(square1 + problem.eps);
    for (int c = 0; c < tile.columns; ++c) {
      if (labels[c] == Label::kIgnored) continue;
      const Sums<double> sums = {scratch->sums[r][c], square1, scratch->squares2[c]};
      cosines[c] = cosine_of(sums.product, norm1, norms2[c], labels[c], problem.margin, kForGradient);
      // Half types too are summed in double here, and so hold as long as float32.
      if (!is_accurate_enough<float>(sums, cosines[c], kForGradient)) again[again_count++] = c;
    }
    // By themselves: a call among the others keeps their numbers out of registers.
    for (int i = 0; i < again_count; ++i) {
      const int c = again[i];
      const Block<T> block = {tile.x1 + r * tile.stride1, tile.x2 + c * tile.stride2, 0, 0, first_pair + c * step, 1};
      cosines_of(problem, block, &labels[c], kForGradient, &cosines[c]);
    }
    use(r, first_pair, labels, cosines);
  }
}

// What a slab holds of a tile.
template <class T>
inline void weigh_tile_of(const Problem &problem, const Slab &slab, const Tile<T> &tile, MarginSum *by_margin) {
  Scratch scratch;
  const AllPairs &all = problem.all_pairs;
  const int64_t block = tile.block - slab.first_block;
  double *cross = slab.cross + (block * slab.rows + tile.first_row - slab.first_row) * all.stride() + tile.first_column;
  double *self1 =
      slab.self1 + (block * all.column_tiles() + tile.first_column / kTileColumns) * all.rows.length + tile.first_row;
  double *self2 =
      slab.self2 + (block * all.row_tiles() + tile.first_row / kTileRows) * all.columns.length + tile.first_column;
  std::memset(self1, 0, tile.rows * sizeof(double));
  std::memset(self2, 0, tile.columns * sizeof(double));
  const int64_t step = all.columns.stride_of_pairs;
  const double common = problem.reduction == Reduction::kNone ? 0 : upstream_of(problem, 0);
  take_cosines<true>(
      problem, tile, &scratch, [&](int r, int64_t first_pair, const Label *labels, const Cosine *cosines) {
        double *to = cross + r * all.stride();
        double upstreams[kTileColumns];
        for (int c = 0; c < tile.columns; ++c) {
          upstreams[c] = problem.reduction == Reduction::kNone ? upstream_of(problem, first_pair + c * step) : common;
        }
        for (int c = 0; c < tile.columns; ++c) {
          to[c] = 0;
          if (!has_gradient(labels[c], cosines[c])) continue;
          const Coefficients by =
              coefficients_of(cosines[c], labels[c] == Label::kSimilar ? -upstreams[c] : upstreams[c]);
          to[c] = by.cross;
          self1[r] += by.self1;
          self2[c] += by.self2;
          if (labels[c] == Label::kDissimilar)
            by_margin->add(problem.reduction == Reduction::kNone ? -upstreams[c] : -1);
        }
      });
}

// What is not finite taken for 0: `self` of its pairs is NaN where they count, and where they do not it must not show.
inline Doubles finite(Doubles value) { return masked(value, reinterpret_cast<Longs>(value - value == Doubles{})); }

// A part of one gradient, some elements of some vectors: the sum over the slab of what the other vectors contribute,
// and their own share.
template <class T>
inline void gather_tile_of(const Problem &problem, const Slab &slab, int64_t index) {
  Scratch scratch;
  const AllPairs &all = problem.all_pairs;
  const int64_t ranges = parts_of(problem.length, kTileColumns);
  const int64_t first_element = index % ranges * kTileColumns;
  index /= ranges;
  const int64_t tiles1 = parts_of(slab.rows, kTileRows), tiles = tiles1 + parts_of(all.columns.length, kTileRows);
  const int64_t block = index / tiles;
  index %= tiles;
  const bool is_first = index < tiles1;
  const Place place = place_of(all.outer, slab.first_block + block);
  // The vectors that get a gradient, counted from the first of the slab, and the others.
  const int64_t first = (is_first ? index : index - tiles1) * kTileRows;
  const int64_t own_count = is_first ? slab.rows : all.columns.length;
  const int64_t depth = is_first ? all.columns.length : slab.rows;
  const int rows = static_cast<int>(own_count - first < kTileRows ? own_count - first : kTileRows);
  const int64_t left = problem.length - first_element;
  const int columns = static_cast<int>(left < kTileColumns ? left : kTileColumns);
  const int64_t at1 = place.at1 + slab.first_row * all.rows.stride1 + first_element;
  const int64_t at2 = place.at2 + first_element;
  const T *x1 = static_cast<const T *>(problem.x1) + at1, *x2 = static_cast<const T *>(problem.x2) + at2;
  const int64_t own_stride = is_first ? all.rows.stride1 : all.columns.stride2;
  const int64_t other_stride = is_first ? all.columns.stride2 : all.rows.stride1;
  const T *own = (is_first ? x1 : x2) + first * own_stride, *other = is_first ? x2 : x1;
  const double *cross = slab.cross + block * slab.rows * all.stride();
  // From a row of the coefficients to the next, and from a term to the next.
  const int64_t row_step = is_first ? all.stride() : 1, term_step = is_first ? 1 : all.stride();

  // Without the terms that no row of the group has: a hinge that is closed, a label that is ignored.
  const auto pack_rows = [&](int first_of_group, int64_t start, int count, double *to, int32_t *places) {
    const double *from = cross + (first + first_of_group) * row_step + start * term_step;
    const int present = rows - first_of_group < kGroup ? rows - first_of_group : kGroup;
    int taken = 0;
    for (int k = 0; k < count; ++k) {
      uint64_t bits = 0;
      for (int r = 0; r < kGroup; ++r) {
        const double coefficient = r < present ? from[r * row_step + k * term_step] : 0;
        bits |= bit_cast<uint64_t>(coefficient);
        to[r * kDepth + taken] = coefficient;
      }
      places[taken] = k * kPanel;
      taken += bits != 0;
    }
    return taken;
  };
  const auto pack_panel = [&](int column, int64_t start, int count, double *panel) {
    for (int k = 0; k < count; ++k) {
      const T *from = other + (start + k) * other_stride + column;
      for (int v = 0; v < kVectors; ++v) {
        const int present = columns - column - v * kWidth;
        store<false>(present > 0 ? finite(load_lanes(from + v * kWidth, 1, present)) : Doubles{},
                     panel + k * kPanel + v * kWidth);
      }
    }
  };
  multiply_tile(rows, columns, depth, pack_rows, pack_panel, &scratch);

  const bool is_done = is_first || slab.is_last;
  for (int r = 0; r < rows; ++r) {
    double *sums = scratch.sums[r];
    if (!is_first && slab.sums2 != nullptr) {
      double *so_far = slab.sums2 + (first + r) * problem.length + first_element;
      for (int i = 0; i < columns; ++i) sums[i] += so_far[i];
      std::memcpy(so_far, sums, columns * sizeof(double));
    }
    if (!is_done) continue;
    double self = 0;
    if (is_first) {
      for (int64_t t = 0; t < all.column_tiles(); ++t)
        self += slab.self1[(block * all.column_tiles() + t) * all.rows.length + slab.first_row + first + r];
    } else {
      for (int64_t t = 0; t < all.row_tiles(); ++t)
        self += slab.self2[(block * all.row_tiles() + t) * all.columns.length + first + r];
    }
    const T *from = own + r * own_stride;
    T *to = static_cast<T *>(is_first ? problem.gradient1 : problem.gradient2) + (is_first ? at1 : at2) +
            (first + r) * own_stride;
    for (int i = 0; i < columns; i += kWidth) {
      const int present = columns - i;
      const Doubles gradient =
          fused_multiply_add(finite(load_lanes(from + i, 1, present)), Doubles{} + self, load(sums + i));
      if (present >= kWidth) {
        store<false>(gradient, to + i);
      } else {
        for (int k = 0; k < present; ++k) narrow(gradient[k], to + i + k);
      }
    }
  }
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_TILES_H_
