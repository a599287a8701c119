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

#include <cmath>

#include "double_double.h"
#include "dtypes.h"
#include "element.h"
#include "pairs.h"
#include "thread_pool.h"

namespace ms_cosine_loss {
namespace {

constexpr int64_t kRunLength = 512;

void add(const Axis &axis, Axes *axes) { axes->axes[axes->count++] = axis; }

int64_t size_of(const Axes &axes) {
  int64_t size = 1;
  for (int i = 0; i < axes.count; ++i) size *= axes.axes[i].length;
  return size;
}

// One input's gradient.
struct Side {
  Axes retained = {};
  Axes reduced = {};
  // The axis along which elements are taken in one go.
  Axis run;
  int64_t retained_size;
  int64_t reduced_size;
  const void *own;
  const void *other;
  void *gradient;
  // This input's member of a place or an axis, and the other input's.
  int64_t Place::*own_place;
  int64_t Place::*other_place;
  int64_t Axis::*own_stride;
  int64_t Axis::*other_stride;
  double Coefficients::*self;
  int Coefficients::*own_exponent;
  int Coefficients::*other_exponent;

  Side(const Problem &problem, bool is_first) {
    own = is_first ? problem.x1 : problem.x2;
    other = is_first ? problem.x2 : problem.x1;
    gradient = is_first ? problem.gradient1 : problem.gradient2;
    own_place = is_first ? &Place::at1 : &Place::at2;
    other_place = is_first ? &Place::at2 : &Place::at1;
    own_stride = is_first ? &Axis::stride1 : &Axis::stride2;
    other_stride = is_first ? &Axis::stride2 : &Axis::stride1;
    self = is_first ? &Coefficients::self1 : &Coefficients::self2;
    own_exponent = is_first ? &Coefficients::exponent1 : &Coefficients::exponent2;
    other_exponent = is_first ? &Coefficients::exponent2 : &Coefficients::exponent1;
    for (int i = 0; i < problem.batch.count; ++i) {
      const Axis &axis = problem.batch.axes[i];
      add(axis, axis.*own_stride == 0 ? &reduced : &retained);
    }
    const Axis lanes = {problem.lanes, problem.lane_stride1, problem.lane_stride2, 1};
    const Axis vector = {problem.length, problem.stride1, problem.stride2, 0};
    if (lanes.*own_stride == 1) {
      add(vector, &retained);
      run = lanes;
    } else {
      add(lanes, &reduced);
      run = vector;
    }
    retained_size = size_of(retained);
    reduced_size = size_of(reduced);
  }

  int64_t runs() const { return (run.length + kRunLength - 1) / kRunLength; }
  int64_t tasks() const { return retained_size * runs(); }

  template <class T>
  void gather(const Coefficients *coefficients, int64_t task) const {
    const int64_t own_step = run.*own_stride, other_step = run.*other_stride, pair_step = run.stride_of_pairs;
    const Place place = place_of(retained, task / runs());
    const int64_t start = task % runs() * kRunLength;
    const int64_t count = run.length - start < kRunLength ? run.length - start : kRunLength;
    const T *own_elements = static_cast<const T *>(own) + place.*own_place + start * own_step;
    double sums[kRunLength] = {}, compensations[kRunLength] = {};
    for (int64_t index = 0; index < reduced_size; ++index) {
      const Place step = place_of(reduced, index);
      const T *other_elements =
          static_cast<const T *>(other) + place.*other_place + step.*other_place + start * other_step;
      const Coefficients *first = coefficients + place.pair + step.pair + start * pair_step;
      for (int64_t i = 0; i < count; ++i) {
        const Coefficients &current = first[i * pair_step];
        // An ignored pair, whatever it holds.
        if (current.cross == 0 && current.*self == 0) continue;
        const double own_element = widened(own_elements[i * own_step]);
        const double other_element = widened(other_elements[i * other_step]);
        double value;
        if (current.exponent1 == 0 && current.exponent2 == 0) {
          value = current.cross * other_element + current.*self * own_element;
        } else {
          value = current.cross * std::ldexp(other_element, -(current.*other_exponent)) +
                  current.*self * std::ldexp(own_element, -(current.*own_exponent));
          value = std::ldexp(value, -(current.*own_exponent));
        }
        double error;
        sums[i] = two_sum(sums[i], value, &error);
        compensations[i] += error;
      }
    }
    T *to = static_cast<T *>(gradient) + place.*own_place + start * own_step;
    for (int64_t i = 0; i < count; ++i) narrow(sums[i] + compensations[i], to + i * own_step);
  }
};

template <class T>
void gather(const Problem &problem, int threads) {
  for (const bool is_first : {true, false}) {
    const Side side(problem, is_first);
    run_in_parallel(threads, side.tasks(), [&](int64_t task) { side.gather<T>(problem.coefficients, task); });
  }
}

}  // namespace

void gather_gradients(const Problem &problem, int threads) {
  with_real(problem.dtype, [&](auto zero) { gather<decltype(zero)>(problem, threads); });
}

}  // namespace ms_cosine_loss
