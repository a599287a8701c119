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

#include "layout.h"

namespace ms_cosine_loss {
namespace {

// Vectors on each side from which on tiles are faster.
constexpr int64_t kFewestVectors = 8;

AllPairs all_pairs_of(const Problem &problem) {
  AllPairs result = {};
  // float64 is summed to twice its precision, which tiles do not do.
  if (!problem.has_rows || problem.dtype == Dtype::kFloat64) return result;
  int repeated1 = 0, repeated2 = 0;
  for (int i = 0; i < problem.batch.count; ++i) {
    const Axis &axis = problem.batch.axes[i];
    if (axis.stride2 == 0) {
      ++repeated2;
      result.rows = axis;
    } else if (axis.stride1 == 0) {
      ++repeated1;
      result.columns = axis;
    } else {
      result.outer.axes[result.outer.count++] = axis;
    }
  }
  result.is_taken = repeated1 == 1 && repeated2 == 1 && result.rows.length >= kFewestVectors &&
                    result.columns.length >= kFewestVectors && problem.length > 0;
  return result;
}

}  // namespace

void lay_out(const int64_t *shape1, const int64_t *shape2, int rank, int axis, Problem *problem) {
  int64_t strides1[kMaxRank], strides2[kMaxRank];
  int64_t size1 = 1, size2 = 1;
  for (int i = rank - 1; i >= 0; --i) {
    strides1[i] = size1;
    strides2[i] = size2;
    size1 *= shape1[i];
    size2 *= shape2[i];
  }
  problem->length = shape1[axis];
  problem->stride1 = strides1[axis];
  problem->stride2 = strides2[axis];
  problem->pairs = 1;
  problem->is_broadcast = false;
  Axes &batch = problem->batch;
  batch.count = 0;
  for (int i = 0; i < rank; ++i) {
    if (i == axis) continue;
    const int64_t length = shape1[i] == 1 ? shape2[i] : shape1[i];
    problem->pairs *= length;
    problem->is_broadcast |= shape1[i] != shape2[i];
    if (length == 1) continue;
    const Axis current = {length, shape1[i] == 1 ? 0 : strides1[i], shape2[i] == 1 ? 0 : strides2[i], 0};
    // Two axes that step as one become one. Across the axis of the vectors they do so only where its length is 1.
    if (batch.count > 0) {
      Axis &last = batch.axes[batch.count - 1];
      if (last.stride1 == current.stride1 * length && last.stride2 == current.stride2 * length) {
        last = {last.length * length, current.stride1, current.stride2, 0};
        continue;
      }
    }
    batch.axes[batch.count++] = current;
  }
  problem->has_rows = problem->stride1 == 1 && problem->stride2 == 1;
  problem->lanes = 1;
  problem->lane_stride1 = problem->lane_stride2 = 0;
  if (!problem->has_rows) {
    // Whatever comes after the axis of the vectors ends in an axis that steps by one element.
    const Axis &innermost = batch.axes[--batch.count];
    problem->lanes = innermost.length;
    problem->lane_stride1 = innermost.stride1;
    problem->lane_stride2 = innermost.stride2;
  }
  int64_t pairs = problem->lanes;
  for (int i = batch.count - 1; i >= 0; --i) {
    batch.axes[i].stride_of_pairs = pairs;
    pairs *= batch.axes[i].length;
  }
  problem->all_pairs = all_pairs_of(*problem);
}

}  // namespace ms_cosine_loss
