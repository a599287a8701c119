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

// A thread pool whose threads sleep between calls.
#ifndef MS_COSINE_LOSS_KERNEL_THREAD_POOL_H_
#define MS_COSINE_LOSS_KERNEL_THREAD_POOL_H_

#include <cstdint>
#include <functional>

namespace ms_cosine_loss {

// The processors that this process may run on.
int available_processors();

// Calls work(0) … work(tasks - 1), each once, on up to `threads` threads of which the caller is one. If another call
// uses the pool, or no thread can be started, the caller does all of them.
void run_in_parallel(int threads, int64_t tasks, const std::function<void(int64_t)> &work);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_THREAD_POOL_H_
