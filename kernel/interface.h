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

// The interface between the library and native.py. tests/ut/test_kernel.py compares the two.
#ifndef MS_COSINE_LOSS_KERNEL_INTERFACE_H_
#define MS_COSINE_LOSS_KERNEL_INTERFACE_H_

#define MS_COSINE_LOSS_EXPORT extern "C" __attribute__((visibility("default")))

namespace ms_cosine_loss {

// Incremented whenever the meaning of a call changes.
constexpr int kInterfaceVersion = 3;

enum Input { kLogits1, kLogits2, kLabels, kSettings, kMargin, kUpstream };

// The fourth input: the settings as int64, with eps as its bits, so that mixed precision cannot round it. The fifth is
// the margin: its bits if it is constant, a floating-point number if it is an input of the graph.
enum Setting { kEps, kReduction, kAxis, kThreads, kSettingsCount };

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_INTERFACE_H_
