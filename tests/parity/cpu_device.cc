#include <c10/core/InferenceMode.h>

#include <cmath>

#include "common/check.h"
#include "tests/parity/device.h"
#include "worker/model/qwen2.h"
#include "worker/ops/cpu/ops_cpu.h"

namespace weft::worker::parity {
namespace {

class CpuModel final : public DeviceModel {
 public:
  CpuModel(const ModelOptions& o, const WeightSource& weights)
      : ops_(ops::MakeCpuOps({.max_tokens = o.max_step_tokens,
                              .max_logits = o.max_step_tokens,
                              .hidden_size = o.config.hidden_size,
                              .intermediate_size = o.config.intermediate_size,
                              .dtype = TorchType(o.dtype)})),
        model_(o.config, o.dtype, StepLimits{o.max_step_tokens, o.max_step_tokens}, *ops_),
        kv_(model_.heads(), o.config.num_layers, o.num_blocks, TorchType(o.dtype)) {
    WEFT_CHECK(model_.ReadWeights(weights).ok());
    for (at::Tensor& tensor : kv_.tensors()) tensor.fill_(std::nanf(""));
  }

  std::vector<float> Forward(const ops::HostBatch& batch) override {
    const c10::InferenceMode no_autograd;
    const at::Tensor logits = model_.Forward(batch.View(), kv_.layers());
    const auto* values = logits.const_data_ptr<float>();
    return {values, values + logits.numel()};
  }

 private:
  std::unique_ptr<ops::Ops> ops_;
  Qwen2 model_;
  ops::cpu::KvPool kv_;
};

}  // namespace

std::unique_ptr<DeviceModel> MakeCpuModel(const ModelOptions& options,
                                          const WeightSource& weights) {
  return std::make_unique<CpuModel>(options, weights);
}

#ifndef WEFT_HAS_CUDA
std::string WhyNotOnCuda(int) { return "built without CUDA"; }
std::unique_ptr<DeviceModel> MakeCudaModel(const ModelOptions&, const WeightSource&) {
  WEFT_CHECK(false);
  return nullptr;
}
#endif

}  // namespace weft::worker::parity
