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

#include "broadcast.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "double_double.h"
#include "dtypes.h"
#include "thread_pool.h"
#include "vectors.h"

namespace ms_cosine_loss {
namespace {

// The tasks that there are at most if the reduced axes are cut into parts.
constexpr int64_t kMostTasks = 64;

void add(const Axis &axis, Axes *axes) { axes->axes[axes->count++] = axis; }

int64_t size_of(const Axes &axes) {
  int64_t size = 1;
  for (int i = 0; i < axes.count; ++i) size *= axes.axes[i].length;
  return size;
}

Side side_of(const Problem &problem, bool is_first) {
  const auto seen = [is_first](Axis axis) {
    if (!is_first) std::swap(axis.stride1, axis.stride2);
    return axis;
  };
  const CoefficientArrays &coefficients = problem.coefficients;
  Side side = {};
  side.dtype = problem.dtype;
  side.own = is_first ? problem.x1 : problem.x2;
  side.other = is_first ? problem.x2 : problem.x1;
  side.gradient = is_first ? problem.gradient1 : problem.gradient2;
  side.cross = coefficients.cross;
  side.self = is_first ? coefficients.self1 : coefficients.self2;
  side.own_exponents = is_first ? coefficients.exponents1 : coefficients.exponents2;
  side.other_exponents = is_first ? coefficients.exponents2 : coefficients.exponents1;
  for (int i = 0; i < problem.batch.count; ++i) {
    const Axis axis = seen(problem.batch.axes[i]);
    add(axis, axis.stride1 == 0 ? &side.reduced : &side.retained);
  }
  const Axis lanes = seen({problem.lanes, problem.lane_stride1, problem.lane_stride2, 1});
  const Axis vector = seen({problem.length, problem.stride1, problem.stride2, 0});
  if (lanes.stride1 == 1) {
    add(vector, &side.retained);
    side.run = lanes;
  } else {
    add(lanes, &side.reduced);
    side.run = vector;
  }
  side.runs = size_of(side.retained) * parts_of(side.run.length, kRunLength);
  side.reduced_size = size_of(side.reduced);
  // Stores of half types are too narrow to stream.
  side.is_streamed = problem.can_stream && side.reduced_size == 1 && size_of(problem.dtype) > 2;
  return side;
}

// Cuts the reduced axes into parts, the same for any number of threads, and adds these up.
void gather_in_parts(const Side &side, const InstructionSet &set, int64_t parts, int threads) {
  std::vector<RunOfSums> sums(side.runs * parts);
  run_in_parallel(threads, side.runs * parts, [&](int64_t task) {
    const int64_t part = task % parts;
    set.gather_run(side, task / parts, side.reduced_size * part / parts, side.reduced_size * (part + 1) / parts,
                   &sums[task]);
  });
  run_in_parallel(threads, side.runs, [&](int64_t run) {
    RunOfSums &total = sums[run * parts];
    for (int64_t part = 1; part < parts; ++part) {
      const RunOfSums &added = sums[run * parts + part];
      for (int i = 0; i < kRunLength; ++i) {
        double error;
        total.sums[i] = two_sum(total.sums[i], added.sums[i], &error);
        total.compensations[i] += added.compensations[i] + error;
      }
    }
    set.write_run(side, run, total);
  });
}

void gather(const Side &side, const InstructionSet &set, int64_t task_elements, int threads) {
  // Of vectors without elements.
  if (side.runs == 0) return;
  const int64_t elements = std::min<int64_t>(side.run.length, kRunLength) * side.reduced_size;
  const int64_t parts = std::min(kMostTasks / side.runs, elements / task_elements);
  if (parts > 1) return gather_in_parts(side, set, parts, threads);
  const int64_t each = 1 + task_elements / (elements + 1);
  run_in_parallel(threads, parts_of(side.runs, each), [&](int64_t task) {
    RunOfSums sums;
    for (int64_t run = task * each; run < std::min((task + 1) * each, side.runs); ++run) {
      set.gather_run(side, run, 0, side.reduced_size, &sums);
      set.write_run(side, run, sums);
    }
    if (side.is_streamed) finish_streaming();
  });
}

}  // namespace

void gather_gradients(const Problem &problem, const InstructionSet &set, int64_t task_elements, int threads) {
  for (const bool is_first : {true, false}) gather(side_of(problem, is_first), set, task_elements, threads);
}

}  // namespace ms_cosine_loss
