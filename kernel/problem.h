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

// The layout of one call of the kernel, passed to the arithmetic of the instruction set.
#ifndef MS_COSINE_LOSS_KERNEL_PROBLEM_H_
#define MS_COSINE_LOSS_KERNEL_PROBLEM_H_

#include <cstdint>

#include "double_double.h"

namespace ms_cosine_loss {

enum class Dtype { kUnknown, kInt8, kInt16, kInt32, kInt64, kFloat16, kBFloat16, kFloat32, kFloat64 };

enum class Reduction : int64_t { kNone = 0, kMean = 1, kSum = 2 };

constexpr int kMaxRank = 32;

// At most this many pairs with vectors side by side in memory are processed together.
constexpr int kMaxLanes = 64;

// An axis, or several that step as one: a batch axis, but where a comment says more. The strides are in elements, 0
// where an input is broadcast, and in pairs.
struct Axis {
  int64_t length;
  int64_t stride1;
  int64_t stride2;
  int64_t stride_of_pairs;
};

struct Axes {
  Axis axes[kMaxRank];
  int count;
};

// The coefficients of a pair's gradients: dx1 = cross * x2 + self1 * x1, and dx2 accordingly. With exponents other than
// 0 this holds for x1 * 2^-exponent1, x2 * 2^-exponent2 and the gradients by them.
struct Coefficients {
  double cross;
  double self1;
  double self2;
  int exponent1;
  int exponent2;
};

// Those of all pairs. Only float64 has exponents other than 0.
struct CoefficientArrays {
  double *cross;
  double *self1;
  double *self2;
  int *exponents1;
  int *exponents2;
};

// Where every vector of x1 meets every vector of x2: tiles of some rows, which are vectors of x1, and some columns, of
// x2, repeated over `outer`.
constexpr int kTileRows = 64;
// The vectors of a tile, or the elements of its rows; of whole panels for every instruction set (tiles.h).
constexpr int kTileColumns = 264;

inline int64_t parts_of(int64_t length, int64_t part) { return (length + part - 1) / part; }

struct AllPairs {
  bool is_taken;
  Axis rows;
  Axis columns;
  Axes outer;

  int64_t row_tiles() const { return parts_of(rows.length, kTileRows); }
  int64_t column_tiles() const { return parts_of(columns.length, kTileColumns); }
  int64_t tiles() const { return row_tiles() * column_tiles(); }
  int64_t pairs() const { return rows.length * columns.length; }
  // From a row of coefficients to the next: an odd number of cache lines, so that a column of them does not meet in one
  // set of the cache.
  int64_t stride() const { return 8 * (parts_of(columns.length, 8) | 1); }
};

// Some rows of an outer block, or all of several blocks, and the coefficients of their pairs.
struct Slab {
  int64_t first_block;
  int64_t first_row;
  int64_t rows;
  bool is_last;
  // `cross` of each pair, [block][row of the slab][column], with AllPairs::stride().
  double *cross;
  // For each tile the sums of `self1` over its columns, and of `self2` over its rows: [block][column tile][row of the
  // block], [block][row tile][column].
  double *self1;
  double *self2;
  // What the slabs before add to the gradient of x2, [column][element]; null where there is only one.
  double *sums2;
};

struct Problem {
  const void *x1;
  const void *x2;
  const void *labels;
  Dtype dtype;
  Dtype labels_dtype;

  // The axis of the vectors.
  int64_t length;
  int64_t stride1;
  int64_t stride2;

  // The batch: `lanes` pairs whose elements lie side by side (lane strides 0 or 1), repeated over `batch`. Rows that
  // are contiguous themselves have one lane.
  bool has_rows;
  int64_t lanes;
  int64_t lane_stride1;
  int64_t lane_stride2;
  Axes batch;
  int64_t pairs;
  bool is_broadcast;
  AllPairs all_pairs;

  double margin;
  double eps;
  Reduction reduction;

  // Forward.
  void *losses;
  Dtype losses_dtype;

  // Backward. `coefficients` takes the place of the gradients where inputs are broadcast.
  const void *upstream;
  Dtype upstream_dtype;
  void *gradient1;
  void *gradient2;
  CoefficientArrays coefficients;
  bool can_stream;

  // A block is one contiguous row, up to kMaxLanes pairs side by side, or a tile.
  int64_t blocks_per_group() const { return has_rows ? 1 : (lanes + kMaxLanes - 1) / kMaxLanes; }
  int64_t groups() const { return pairs / lanes; }
  int64_t blocks() const {
    if (all_pairs.is_taken) return all_pairs.tiles() * (pairs / all_pairs.pairs());
    return groups() * blocks_per_group();
  }
};

// A running sum and its rounding error (Neumaier 1974).
struct CompensatedSum {
  double sum = 0;
  double compensation = 0;

  void add(double value) {
    double error;
    sum = two_sum(sum, value, &error);
    compensation += error;
  }
  void add(const CompensatedSum &other) { add(other.total()); }
  // With NaN or infinity the compensation has no meaning.
  double total() const { return compensation == compensation ? sum + compensation : sum; }
};

// The gradient of the margin: incoming gradients, whose sum may overflow on the way. The scaled sum does not.
struct MarginSum {
  static constexpr double kScale = 0x1p-64;
  CompensatedSum sum;
  CompensatedSum scaled;

  void add(double value) {
    sum.add(value);
    scaled.add(value * kScale);
  }
  void add(const MarginSum &other) {
    sum.add(other.sum);
    scaled.add(other.scaled);
  }
  double total() const {
    const double unscaled = sum.total();
    return unscaled - unscaled == 0 ? unscaled : scaled.total() / kScale;
  }
};

struct RunOfSums;
struct Side;

// The arithmetic, compiled once for each instruction set.
struct InstructionSet {
  const char *name;
  // The losses of some blocks: written out, or added to `sum`.
  void (*forward)(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum);
  // The gradients, or their coefficients where inputs are broadcast. That of the margin is added to `by_margin`: -1 for
  // each pair under a reduction, whose incoming gradient all pairs share.
  void (*backward)(const Problem &problem, int64_t first_block, int64_t last_block, MarginSum *by_margin);
  // Of a broadcast input: the sums of a run over the reduced indices from `first` to `last`, and the gradient from
  // them.
  void (*gather_run)(const Side &side, int64_t run, int64_t first, int64_t last, RunOfSums *sums);
  void (*write_run)(const Side &side, int64_t run, const RunOfSums &sums);
  // Of all pairs: what a slab holds of a tile, and a part of the gradients that a slab gives.
  void (*weigh_tile)(const Problem &problem, const Slab &slab, int64_t tile, MarginSum *by_margin);
  void (*gather_tile)(const Problem &problem, const Slab &slab, int64_t index);
};

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_PROBLEM_H_
