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

// The shapes and dtypes of the results, which MindSpore asks of the library, by these names, where a graph is compiled
// for shapes that are not known. While they are not, a length is -1 and a shape of unknown rank a single -2: copies of
// the inputs' shapes are right at all times, and what does not fit is left to the call itself.
#include <cstdint>
#include <vector>

#include "interface.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

namespace ms_cosine_loss {
namespace {

using Shape = std::vector<int64_t>;
using Dtypes = std::vector<int>;

Shape shape_of(Input input, const int *ndims, int64_t *const *shapes) {
  return Shape(shapes[input], shapes[input] + ndims[input]);
}

}  // namespace

// MindSpore makes a Python number of a result without axes. The loss of all pairs and the gradient of the margin are
// given one axis here, which Python takes off again.
MS_COSINE_LOSS_EXPORT Shape ms_cosine_loss_forwardInferShape(int *, int64_t **, void *) { return {1}; }
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_forwardInferType(Dtypes types, void *) { return types[kLogits1]; }

MS_COSINE_LOSS_EXPORT Shape ms_cosine_loss_forward_of_eachInferShape(int *ndims, int64_t **shapes, void *) {
  return shape_of(kLabels, ndims, shapes);
}
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_forward_of_eachInferType(Dtypes types, void *) { return types[kLogits1]; }

MS_COSINE_LOSS_EXPORT std::vector<Shape> ms_cosine_loss_backwardInferShape(int *ndims, int64_t **shapes, void *) {
  return {shape_of(kLogits1, ndims, shapes), shape_of(kLogits2, ndims, shapes), {1}};
}
MS_COSINE_LOSS_EXPORT Dtypes ms_cosine_loss_backwardInferType(Dtypes types, void *) {
  return {types[kLogits1], types[kLogits2], types[kMargin]};
}

MS_COSINE_LOSS_EXPORT std::vector<Shape> ms_cosine_loss_second_orderInferShape(int *ndims, int64_t **shapes, void *) {
  return {shape_of(kLogits1, ndims, shapes), shape_of(kLogits2, ndims, shapes), shape_of(kUpstream, ndims, shapes)};
}
MS_COSINE_LOSS_EXPORT Dtypes ms_cosine_loss_second_orderInferType(Dtypes types, void *) {
  return {types[kLogits1], types[kLogits2], types[kUpstream]};
}

}  // namespace ms_cosine_loss
