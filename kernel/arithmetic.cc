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
#include <type_traits>

#include "blocks.h"
#include "dtypes.h"
#include "gather.h"
#include "gradients.h"
#include "pairs.h"
#include "problem.h"
#include "tail.h"
#include "tiles.h"
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
      const double loss = loss_of(labels[i], cosines[i]);
      if (problem.reduction == Reduction::kNone) {
        set_number(loss, problem.losses, problem.losses_dtype, block.first_pair + i);
      } else {
        sum->add(loss);
      }
    }
  }
}

template <class T>
void backward_of(const Problem &problem, int64_t first_block, int64_t last_block, MarginSum *by_margin) {
  for (int64_t index = first_block; index < last_block; ++index) {
    const Block<T> block = block_at<T>(problem, index);
    Label labels[kMaxLanes];
    Cosine cosines[kMaxLanes];
    double weights[kMaxLanes];
    bool counts[kMaxLanes];
    if (labels_of(problem, block, labels)) cosines_of(problem, block, labels, true, cosines);
    for (int i = 0; i < block.count; ++i) {
      counts[i] = has_gradient(labels[i], cosines[i]);
      if (!counts[i]) continue;
      const double upstream = upstream_of(problem, block.first_pair + i);
      weights[i] = labels[i] == Label::kSimilar ? -upstream : upstream;
      if (labels[i] == Label::kDissimilar) by_margin->add(problem.reduction == Reduction::kNone ? -upstream : -1);
    }
    if (problem.is_broadcast) {
      write_coefficients(problem, block, cosines, weights, counts);
    } else {
      write_gradients(problem, block, cosines, weights, counts);
    }
  }
  if (problem.can_stream) finish_streaming();
}

template <class T>
void forward_of_tiles(const Problem &problem, int64_t first, int64_t last, CompensatedSum *sum) {
  Scratch scratch;
  const int64_t step = problem.all_pairs.columns.stride_of_pairs;
  for (int64_t index = first; index < last; ++index) {
    const Tile<T> tile(problem, index);
    take_cosines<false>(
        problem, tile, &scratch, [&](int, int64_t first_pair, const Label *labels, const Cosine *cosines) {
          if (problem.reduction == Reduction::kNone) {
            for (int c = 0; c < tile.columns; ++c) {
              set_number(loss_of(labels[c], cosines[c]), problem.losses, problem.losses_dtype, first_pair + c * step);
            }
          } else {
            for (int c = 0; c < tile.columns; ++c) sum->add(loss_of(labels[c], cosines[c]));
          }
        });
  }
}

void forward(const Problem &problem, int64_t first_block, int64_t last_block, CompensatedSum *sum) {
  with_real(problem.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, double>) {
      if (problem.all_pairs.is_taken) return forward_of_tiles<T>(problem, first_block, last_block, sum);
    }
    forward_of<T>(problem, first_block, last_block, sum);
  });
}

void backward(const Problem &problem, int64_t first_block, int64_t last_block, MarginSum *by_margin) {
  with_real(problem.dtype,
            [&](auto zero) { backward_of<decltype(zero)>(problem, first_block, last_block, by_margin); });
}

void gather_run(const Side &side, int64_t run, int64_t first, int64_t last, RunOfSums *sums) {
  with_real(side.dtype, [&](auto zero) { gather_run_of<decltype(zero)>(side, run, first, last, sums); });
}

void write_run(const Side &side, int64_t run, const RunOfSums &sums) {
  with_real(side.dtype, [&](auto zero) { write_run_of<decltype(zero)>(side, run, sums); });
}

void weigh_tile(const Problem &problem, const Slab &slab, int64_t tile, MarginSum *by_margin) {
  with_real(problem.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, double>) weigh_tile_of(problem, slab, Tile<T>(problem, tile), by_margin);
  });
}

void gather_tile(const Problem &problem, const Slab &slab, int64_t index) {
  with_real(problem.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, double>) gather_tile_of<T>(problem, slab, index);
  });
}

}  // namespace

#define MS_COSINE_LOSS_NAME_OF(set) MS_COSINE_LOSS_TEXT(set)
#define MS_COSINE_LOSS_TEXT(set) #set

extern const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET;
const InstructionSet MS_COSINE_LOSS_INSTRUCTION_SET = {MS_COSINE_LOSS_NAME_OF(MS_COSINE_LOSS_INSTRUCTION_SET),
                                                       forward,
                                                       backward,
                                                       gather_run,
                                                       write_run,
                                                       weigh_tile,
                                                       gather_tile};

}  // namespace ms_cosine_loss
