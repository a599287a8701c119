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
#include "element.h"
#include "thread_pool.h"

namespace ms_cosine_loss {
namespace {

constexpr int64_t kRunLength = 512;

// An axis as one of the inputs sees it: its own steps, those of the other input, and those through the pairs.
struct Axis {
  int64_t length;
  int64_t own;
  int64_t other;
  int64_t pair;
};

struct Axes {
  Axis axes[kMaxRank + 1];
  int count = 0;
  int64_t size = 1;

  void add(Axis axis) {
    axes[count++] = axis;
    size *= axis.length;
  }
  // Where the element `index` of all these axes lies.
  Axis position(int64_t index) const {
    Axis at = {1, 0, 0, 0};
    for (int i = count - 1; i >= 0; --i) {
      const int64_t step = index % axes[i].length;
      index /= axes[i].length;
      at.own += step * axes[i].own;
      at.other += step * axes[i].other;
      at.pair += step * axes[i].pair;
    }
    return at;
  }
};

// One input's gradient.
struct Side {
  Axes kept;
  Axes summed;
  // The axis along which elements are taken in one go.
  Axis run;
  const void *own;
  const void *other;
  void *gradient;
  double Coefficients::*along;
  int Coefficients::*own_exponent;
  int Coefficients::*other_exponent;

  Side(const Problem &problem, bool is_first) {
    own = is_first ? problem.x1 : problem.x2;
    other = is_first ? problem.x2 : problem.x1;
    gradient = is_first ? problem.gradient1 : problem.gradient2;
    along = is_first ? &Coefficients::along1 : &Coefficients::along2;
    own_exponent = is_first ? &Coefficients::exponent1 : &Coefficients::exponent2;
    other_exponent = is_first ? &Coefficients::exponent2 : &Coefficients::exponent1;
    const auto seen = [is_first](int64_t length, int64_t stride1, int64_t stride2, int64_t pair) {
      return is_first ? Axis{length, stride1, stride2, pair} : Axis{length, stride2, stride1, pair};
    };
    int64_t pair = problem.pairs;
    for (int i = 0; i < problem.axes_count; ++i) {
      const BatchAxis &axis = problem.axes[i];
      pair /= axis.length;
      const Axis current = seen(axis.length, axis.stride1, axis.stride2, pair);
      (current.own == 0 ? summed : kept).add(current);
    }
    const Axis lanes = seen(problem.lanes, problem.lane_stride1, problem.lane_stride2, 1);
    const Axis vector = seen(problem.length, problem.stride1, problem.stride2, 0);
    if (lanes.own == 1) {
      kept.add(vector);
      run = lanes;
    } else {
      summed.add(lanes);
      run = vector;
    }
  }

  int64_t runs() const { return (run.length + kRunLength - 1) / kRunLength; }
  int64_t tasks() const { return kept.size * runs(); }

  template <class T>
  void gather(const Coefficients *coefficients, int64_t task) const {
    const Axis place = kept.position(task / runs());
    const int64_t start = task % runs() * kRunLength;
    const int64_t count = run.length - start < kRunLength ? run.length - start : kRunLength;
    const T *own_elements = static_cast<const T *>(own) + place.own + start * run.own;
    double sums[kRunLength] = {}, compensations[kRunLength] = {};
    for (int64_t index = 0; index < summed.size; ++index) {
      const Axis step = summed.position(index);
      const T *other_elements = static_cast<const T *>(other) + place.other + step.other + start * run.other;
      const Coefficients *by = coefficients + place.pair + step.pair + start * run.pair;
      for (int64_t i = 0; i < count; ++i) {
        const Coefficients &current = by[i * run.pair];
        // An ignored pair, whatever it holds.
        if (current.across == 0 && current.*along == 0) continue;
        const double own_element = widened(own_elements[i * run.own]);
        const double other_element = widened(other_elements[i * run.other]);
        double value;
        if (current.exponent1 == 0 && current.exponent2 == 0) {
          value = current.across * other_element + current.*along * own_element;
        } else {
          value = current.across * std::ldexp(other_element, -(current.*other_exponent)) +
                  current.*along * std::ldexp(own_element, -(current.*own_exponent));
          value = std::ldexp(value, -(current.*own_exponent));
        }
        double error;
        sums[i] = two_sum(sums[i], value, &error);
        compensations[i] += error;
      }
    }
    T *to = static_cast<T *>(gradient) + place.own + start * run.own;
    for (int64_t i = 0; i < count; ++i) narrow(sums[i] + compensations[i], to + i * run.own);
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
  switch (problem.dtype) {
    case Dtype::kFloat16:
      return gather<Float16>(problem, threads);
    case Dtype::kBFloat16:
      return gather<BFloat16>(problem, threads);
    case Dtype::kFloat32:
      return gather<float>(problem, threads);
    default:
      return gather<double>(problem, threads);
  }
}

}  // namespace ms_cosine_loss
