// ops.h on the CPU.
//
// A token's result does not depend on what else is in the step, so that a stream is
// the same alone and among others.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "worker/ops/ops.h"

namespace weft::worker::ops {

// Rows of one token are not told apart: Batch's single rows may be 0.
std::unique_ptr<Ops> MakeCpuOps(const StepShape& shape);

namespace cpu {

// The KV blocks of all layers. Not zeroed: what no token has written is never read.
class KvPool {
 public:
  KvPool(HeadShape shape, int num_layers, int num_blocks, at::ScalarType dtype);
  const std::vector<KvLayer>& layers() const { return layers_; }
  std::vector<at::Tensor>& tensors() { return tensors_; }

 private:
  std::vector<at::Tensor> tensors_;  // keys and values of each layer
  std::vector<KvLayer> layers_;
};

}  // namespace cpu
}  // namespace weft::worker::ops
