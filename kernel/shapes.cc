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

#include "shapes.h"

#include <algorithm>

#include "problem.h"

namespace ms_cosine_loss {
namespace {

std::string shown(const Shape &shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank; ++i) text += (i > 0 ? ", " : "") + std::to_string(shape.lengths[i]);
  return text + (shape.rank == 1 ? ",)" : ")");
}

std::string shown(const Shape &x1, const Shape &x2) { return shown(x1) + " and " + shown(x2) + "."; }

int resolved(int64_t axis, int rank) {
  // Two bare vectors are one pair, so the default axis has to fit them.
  if (rank == 1 && axis == 1) return 0;
  if (axis < -rank || axis >= rank) {
    throw Misfit("'axis' must be in [" + std::to_string(-rank) + ", " + std::to_string(rank - 1) +
                 "] for logits of rank " + std::to_string(rank) + ", but got " + std::to_string(axis) + ".");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace

int64_t Shape::elements() const {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= lengths[i];
  return count;
}

bool Shape::operator==(const Shape &other) const {
  return rank == other.rank && std::equal(lengths, lengths + rank, other.lengths);
}

int fitting_axis(const Shape &x1, const Shape &x2, const Shape &labels, const Shape &margin, int64_t axis) {
  if (margin.rank != 0)
    throw Misfit("'margin' must be a number or a Tensor of shape (), but got shape " + shown(margin) + ".");
  if (x1.rank != x2.rank) {
    throw Misfit("'logits_x1' and 'logits_x2' must have the same rank, but got shapes " + shown(x1, x2));
  }
  const int rank = x1.rank;
  if (rank == 0) {
    throw Misfit("'logits_x1' and 'logits_x2' must have at least 1 dimension, but got shape ().");
  }
  if (rank > kMaxRank) {
    throw Misfit("'logits_x1' and 'logits_x2' must have at most " + std::to_string(kMaxRank) +
                 " dimensions for the implementation 'native', but got " + std::to_string(rank) + ".");
  }
  const int vectors = resolved(axis, rank);
  int64_t lengths[kMaxRank];
  int count = 0;
  for (int i = 0; i < rank; ++i) {
    const int64_t length1 = x1.lengths[i], length2 = x2.lengths[i];
    if (i != vectors) lengths[count++] = length1 == 1 ? length2 : length1;
    if (length1 == length2) continue;
    if (i == vectors) {
      throw Misfit("'logits_x1' and 'logits_x2' must have the same length along axis " + std::to_string(vectors) +
                   ", but got shapes " + shown(x1, x2));
    }
    if (length1 != 1 && length2 != 1) {
      throw Misfit("'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis " +
                   std::to_string(vectors) + ", but got " + shown(x1, x2));
    }
  }
  const Shape expected = {lengths, count};
  if (labels != expected)
    throw Misfit("'labels' must have shape " + shown(expected) + ", but got " + shown(labels) + ".");
  return vectors;
}

bool fits_losses(const Shape &shape, const Shape &losses) {
  return shape == losses || (losses.rank == 0 && shape.elements() == 1);
}

void check_upstream(const Shape &upstream, const Shape &losses) {
  if (fits_losses(upstream, losses)) return;
  throw Misfit("gradient of the loss must have shape " + shown(losses) + ", but got " + shown(upstream) + ".");
}

}  // namespace ms_cosine_loss
