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

// The passes over the blocks of a problem. This file is compiled once for each instruction set, under another value of
// MS_COSINE_LOSS_INSTRUCTION_SET.
#include <cstdint>

#include "blocks.h"
#include "dtypes.h"
#include "gradients.h"
#include "pairs.h"
#include "problem.h"
#include "tail.h"
#include "vectors.h"

namespace ms_cosine_loss {
namespace {

template <class T>
void forward_of(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum) {
  for (int64_t index = first_block; index < last_block; ++index) {
    const Block<T> block = block_at<T>(problem, index);
    Label labels[kMaxLanes];
    Cosine cosines[kMaxLanes];
    if (labels_of(problem, block, labels)) cosines_of(problem, block, labels, false, cosines);
    for (int i = 0; i < block.count; ++i) {
      double loss = labels[i] == Label::kIgnored ? 0 : cosines[i].unclamped_loss;
      if (loss < 0) loss = 0;
      if (problem.reduction == Reduction::kNone) {
        set_number(loss, problem.losses, problem.losses_dtype, block.first_pair + i);
      } else {
        sum->add(loss);
      }
    }
  }
}

template <class T>
void backward_of(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *by_margin) {
  for (int64_t index = first_block; index < last_block; ++index) {
    const Block<T> block = block_at<T>(problem, index);
    Label labels[kMaxLanes];
    Cosine cosines[kMaxLanes];
    double weights[kMaxLanes];
    bool counts[kMaxLanes] = {};
    if (labels_of(problem, block, labels)) cosines_of(problem, block, labels, true, cosines);
    for (int i = 0; i < block.count; ++i) {
      if (labels[i] == Label::kIgnored) continue;
      // A closed hinge; NaN is not below 0.
      if (labels[i] == Label::kDissimilar && cosines[i].unclamped_loss < 0) continue;
      const double weight = upstream_of(problem, block.first_pair + i);
      weights[i] = labels[i] == Label::kSimilar ? -weight : weight;
      if (labels[i] == Label::kDissimilar) by_margin->add(-weight);
      counts[i] = true;
    }
    if (problem.coefficients != nullptr) {
      write_coefficients(problem, block, cosines, weights, counts);
    } else {
      write_gradients(problem, block, cosines, weights, counts);
    }
  }
  if (problem.can_stream) finish_streaming();
}

void forward(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum) {
  with_real(problem.dtype, [&](auto zero) { forward_of<decltype(zero)>(problem, first_block, last_block, sum); });
}

void backward(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *by_margin) {
  with_real(problem.dtype,
            [&](auto zero) { backward_of<decltype(zero)>(problem, first_block, last_block, by_margin); });
}

}  // namespace

#define MS_COSINE_LOSS_NAME_OF(set) MS_COSINE_LOSS_TEXT(set)
#define MS_COSINE_LOSS_TEXT(set) #set

extern const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET;
const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET = {MS_COSINE_LOSS_NAME_OF(MS_COSINE_LOSS_INSTRUCTION_SET), forward,
                                                       backward};

}  // namespace ms_cosine_loss
