// A model with its weights and a KV pool on one device, for tests that compare
// devices with each other and with an oracle.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/model/model_config.h"
#include "worker/model/weight_source.h"
#include "worker/ops/batch.h"

namespace weft::worker::parity {

struct ModelOptions {
  ModelConfig config;
  DType dtype = DType::kFloat32;
  bool has_fp8_kv = false;  // CUDA
  int max_step_tokens = 0;
  int max_rows = 0;
  int num_blocks = 0;
};

class DeviceModel {
 public:
  virtual ~DeviceModel() = default;
  // Logits [batch.logit_tokens, V]. The batch's rows of one token come first.
  virtual std::vector<float> Forward(const ops::HostBatch& batch) = 0;
};

// Both fill the KV pool with NaN: what no token wrote must not matter.
std::unique_ptr<DeviceModel> MakeCpuModel(const ModelOptions& options, const WeightSource& weights);
std::unique_ptr<DeviceModel> MakeCudaModel(const ModelOptions& options,
                                           const WeightSource& weights);

// What keeps a model of that shape from running there; empty: nothing.
std::string WhyNotOnCuda(int head_dim);

}  // namespace weft::worker::parity
