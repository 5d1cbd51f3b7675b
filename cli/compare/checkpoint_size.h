// What a model takes on disk and in memory, from its folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "worker/model/model_config.h"

namespace weft::compare {

struct CheckpointSize {
  int64_t num_parameters = 0;
  // Of all the folder's *.safetensors files; none: it has none.
  std::optional<int64_t> bytes_on_disk;
  // Computed from the shapes, until quantized files are at hand. The layers' matrices are
  // quantized, as published checkpoints do; embedding, head, norms and biases stay in 16
  // bits. So a small model with a large vocabulary shrinks by far less than half.
  int64_t int8_bytes = 0;          // 16-bit scale of each output channel
  int64_t int4_bytes = 0;          // groups of 128: a 16-bit scale and a 4-bit zero point each
  int64_t kv_bytes_per_token = 0;  // in 16 bits
};

// Without the bytes on disk.
CheckpointSize SizeOf(const worker::ModelConfig& config);

// Refuses what worker::LoadModelConfig refuses (a quantized checkpoint among it) and a
// folder that cannot be read, in its words.
absl::StatusOr<CheckpointSize> MeasureCheckpoint(const std::string& model_dir);

}  // namespace weft::compare
