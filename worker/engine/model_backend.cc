#include "worker/engine/model_backend.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/engine/cpu_backend.h"
#include "worker/engine/without_exceptions.h"
#ifdef WEFT_HAS_CUDA
#include "worker/engine/cuda/load_cuda.h"
#endif

namespace weft::worker {
namespace {

#ifdef WEFT_HAS_CUDA
absl::StatusOr<bool> UsesGpu(const std::string& device) {
  if (device == "cpu") return false;
  const absl::Status usable = GpuIsUsable();
  if (device == "cuda" && !usable.ok()) return usable;
  return usable.ok();
}
#else
absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const ModelBackendOptions&, LoadFacts&) {
  return absl::InternalError("built without CUDA");
}
absl::StatusOr<bool> UsesGpu(const std::string& device) {
  if (device != "cuda") return false;
  return absl::InvalidArgumentError(
      "--backend cuda: this worker was built without CUDA; `make build PRESET=cuda` makes one with "
      "it");
}
#endif

ModelBackendOptions WithDefaults(ModelBackendOptions options, bool uses_gpu) {
  if (options.max_num_seqs == 0) options.max_num_seqs = uses_gpu ? kGpuMaxNumSeqs : kCpuMaxNumSeqs;
  if (options.max_num_batched_tokens == 0) {
    options.max_num_batched_tokens =
        std::max(options.max_num_seqs, uses_gpu ? kGpuMaxBatchedTokens : kCpuMaxBatchedTokens);
  }
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeModelBackend(const ModelBackendOptions& options,
                                                          LoadFacts* facts) {
  if (options.device != "auto" && options.device != "cpu" && options.device != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("--backend must be auto, cpu or cuda, not ", options.device));
  }
  LoadFacts unused;
  LoadFacts& told = facts != nullptr ? *facts : unused;
  const absl::StatusOr<bool> uses_gpu = UsesGpu(options.device);
  if (!uses_gpu.ok()) return uses_gpu.status();
  const ModelBackendOptions all = WithDefaults(options, *uses_gpu);
  return WithoutExceptions(
      [&] { return *uses_gpu ? MakeCudaBackend(all, told) : MakeCpuBackend(all, told); });
}

}  // namespace weft::worker
