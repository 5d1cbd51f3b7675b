// What every device does to load a model: the directory is read and checked, the number
// format chosen, the limits told, the first steps tried.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/engine/backend.h"
#include "worker/engine/memory.h"
#include "worker/engine/model_backend.h"
#include "worker/model/model_config.h"
#include "worker/model/weight_source.h"
#include "worker/ops/dtype.h"

namespace weft::worker {

// What a device computes in, besides float32.
struct DeviceTypes {
  bool has_bfloat16 = true;
  bool has_float16 = false;
};

struct OpenedModel {
  ModelConfig config;
  DType dtype = DType::kFloat32;
  int vocab_size = 0;  // ids that the tokenizer knows
  std::string fingerprint;
  std::unique_ptr<WeightSource> source;

  int64_t weight_bytes() const { return config.num_parameters() * BytesOf(dtype); }
};

// Errors name the file, tensor, field or flag to blame. Adds to facts' warnings.
absl::StatusOr<OpenedModel> OpenModel(const ModelBackendOptions& options, DeviceTypes types,
                                      LoadFacts& facts);

// Of a backend with this KV pool, which facts are told of.
BackendLimits LimitsOf(const KvPlan& plan, int64_t bytes_per_block, int max_steps_in_flight,
                       const ModelBackendOptions& options, const OpenedModel& opened,
                       LoadFacts& facts);

// A short prompt and the token behind it: weights that compute NaN, or kernels that do
// on this machine, show here and not in a client's answer.
absl::Status RunCanary(Backend& backend);

}  // namespace weft::worker
