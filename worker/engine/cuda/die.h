// The end of a worker whose device failed.
#pragma once

#include <cuda_runtime.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"

namespace weft::worker {

// An error of CUDA leaves nothing to go on with. No destructors: they would touch the
// device.
[[noreturn]] inline void Die(const std::string& cause) {
  spdlog::critical("the GPU failed, this worker ends: {}", cause);
  spdlog::default_logger()->flush();
  std::fflush(nullptr);
  _exit(1);
}

inline void CheckOrDie(cudaError_t error, const char* what) {
  if (error != cudaSuccess) Die(absl::StrCat(what, ": ", cudaGetErrorString(error)));
}

}  // namespace weft::worker
