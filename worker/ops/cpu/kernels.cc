#include "worker/ops/cpu/kernels.h"

#include <vector>

namespace weft::worker::ops::cpu {

namespace baseline {
extern const Kernels kKernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
namespace avx512_bf16 {
extern const Kernels kKernels;
}
#endif

namespace {

std::vector<const Kernels*> Detect() {
  std::vector<const Kernels*> kernels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) kernels.push_back(&avx512_bf16::kKernels);
  if (avx512) kernels.push_back(&avx512::kKernels);
  if (avx2) kernels.push_back(&avx2::kKernels);
#endif
  kernels.push_back(&baseline::kKernels);
  return kernels;
}

}  // namespace

std::span<const Kernels* const> AvailableKernels() {
  static const std::vector<const Kernels*> kernels = Detect();
  return kernels;
}

}  // namespace weft::worker::ops::cpu
