#include "cli/compare/checkpoint_size.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/model/weight_source.h"

namespace weft::compare {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGroupSize = 128;
constexpr int64_t kHalfBytes = 2;

bool IsQuantized(const worker::TensorSpec& tensor) {
  return tensor.shape.size() == 2 && tensor.name.starts_with("model.layers.");
}

int64_t Int8Bytes(const worker::TensorSpec& tensor) {
  if (!IsQuantized(tensor)) return tensor.num_elements() * kHalfBytes;
  return tensor.num_elements() + tensor.shape[0] * kHalfBytes;
}

int64_t Int4Bytes(const worker::TensorSpec& tensor) {
  if (!IsQuantized(tensor)) return tensor.num_elements() * kHalfBytes;
  const int64_t num_groups = (tensor.shape[1] + kGroupSize - 1) / kGroupSize * tensor.shape[0];
  return tensor.num_elements() / 2 + num_groups * kHalfBytes + num_groups / 2;
}

}  // namespace

CheckpointSize SizeOf(const worker::ModelConfig& config) {
  CheckpointSize size{.num_parameters = config.num_parameters(),
                      .kv_bytes_per_token = config.kv_bytes_per_token(worker::DType::kBFloat16)};
  for (const worker::TensorSpec& tensor : worker::Qwen2Tensors(config)) {
    size.int8_bytes += Int8Bytes(tensor);
    size.int4_bytes += Int4Bytes(tensor);
  }
  return size;
}

absl::StatusOr<CheckpointSize> MeasureCheckpoint(const std::string& model_dir) {
  const auto config = worker::LoadModelConfig(model_dir);
  if (!config.ok()) return config.status();
  CheckpointSize size = SizeOf(*config);
  std::error_code error;
  for (fs::directory_iterator entry(model_dir, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() != ".safetensors") continue;
    const auto bytes = static_cast<int64_t>(entry->file_size(error));
    if (!error) size.bytes_on_disk = size.bytes_on_disk.value_or(0) + bytes;
  }
  if (error) return absl::UnavailableError(absl::StrCat(model_dir, ": ", error.message()));
  return size;
}

}  // namespace weft::compare
