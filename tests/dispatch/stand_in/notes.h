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

// Notes what MindSpore requests of the device, one line each, for the calling Python code:
//
//     launch NAME ELEMENTS OPERANDS...   an operator or a kernel; the elements of its result, 0 if unknown
//     copy KIND BYTES                    1 to the device, 2 from it, 3 on it, in both CANN and CUDA
#ifndef TESTS_DISPATCH_STAND_IN_NOTES_H_
#define TESTS_DISPATCH_STAND_IN_NOTES_H_

#include <mutex>
#include <string>

namespace stand_in {

struct Notes {
  std::mutex mutex;
  std::string text;
  bool wanted = false;
};

inline Notes &notes() {
  // Never destroyed: MindSpore's threads outlive statics.
  static Notes *const all = new Notes;
  return *all;
}

inline void note(const std::string &line) {
  std::lock_guard<std::mutex> lock(notes().mutex);
  if (notes().wanted) notes().text += line + "\n";
}

}  // namespace stand_in

extern "C" {

// Clears the notes and starts noting.
inline __attribute__((used)) void stand_in_start() {
  std::lock_guard<std::mutex> lock(stand_in::notes().mutex);
  stand_in::notes().text.clear();
  stand_in::notes().wanted = true;
}

// Call it only after MindSpore has been synchronized.
inline __attribute__((used)) const char *stand_in_notes() { return stand_in::notes().text.c_str(); }

}  // extern "C"

#endif  // TESTS_DISPATCH_STAND_IN_NOTES_H_
