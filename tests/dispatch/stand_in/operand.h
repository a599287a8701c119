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

// A tensor, a scalar or a list as CANN's aclCreate... functions describe it.
#ifndef TESTS_DISPATCH_STAND_IN_OPERAND_H_
#define TESTS_DISPATCH_STAND_IN_OPERAND_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace stand_in {

using Shape = std::vector<int64_t>;

// CANN's aclDataType.
enum DType {
  kFloat32 = 0,
  kFloat16 = 1,
  kInt8 = 2,
  kInt32 = 3,
  kUInt8 = 4,
  kInt16 = 6,
  kInt64 = 9,
  kFloat64 = 11,
  kBool = 12,
  kBFloat16 = 27
};

struct Operand {
  enum Kind { kTensor, kScalar, kIntegers, kList, kOther };

  Kind kind = kOther;
  int dtype = -1;
  Shape shape;  // the shape of a tensor, or the elements of a list of integers
  Shape strides;
  int64_t offset = 0;
  void *data = nullptr;
  double scalar = 0;
  std::vector<std::shared_ptr<Operand>> list;
};

using Operands = std::vector<std::shared_ptr<Operand>>;

size_t bytes_of(int dtype);
int64_t elements_of(const Operand &tensor);
// Read and write one element; a dtype that is not listed above reads as NaN and is not written.
double load(const void *element, int dtype);
void store(void *element, int dtype, double value);
// The strides of a tensor without gaps.
Shape contiguous(const Shape &shape);

// An argument of aclnn<name>: an operand, or else an integer, 0 for an omitted operand.
struct Argument {
  std::shared_ptr<Operand> operand;
  int64_t integer = 0;
};

// Computes the operator aclnn<name>; returns false if it is unknown.
bool compute(const std::string &name, const std::vector<Argument> &arguments);

// The same for an operator of the old style.
bool compute_old(const std::string &name, const Operands &inputs, const Operands &outputs,
                 const std::map<std::string, int64_t> &attributes);

}  // namespace stand_in

#endif  // TESTS_DISPATCH_STAND_IN_OPERAND_H_
