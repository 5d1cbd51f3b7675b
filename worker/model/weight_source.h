// Where weights come from: a checkpoint, or numbers made up on the spot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/model/model_config.h"
#include "worker/ops/dtype.h"

namespace weft::worker {

// A tensor that the model needs.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;

  int64_t num_elements() const;
};

// Every tensor of a Qwen2 model of that shape, under its name in a checkpoint.
std::vector<TensorSpec> Qwen2Tensors(const ModelConfig& config);

// Numbers first, first + 1, ... of a tensor.
struct NumberRange {
  int64_t first = 0;
  int64_t count = 0;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // Fills `out` with those of the tensor's numbers, in row-major order, as `dtype`.
  // Any thread.
  virtual absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                                 void* out) const = 0;
  // All of them.
  absl::Status Read(const TensorSpec& tensor, DType dtype, void* out) const {
    return ReadRange(tensor, dtype, {.first = 0, .count = tensor.num_elements()}, out);
  }

  // Hex SHA-256 of what tells these weights from others.
  virtual absl::StatusOr<std::string> Fingerprint() const = 0;
};

// The directory's model.safetensors, or the shards that its
// model.safetensors.index.json lists. Every file's header is checked, and that the
// tensors are exactly the expected ones with the expected shapes in a type that
// can be converted, before this returns; errors name file and tensor. (A head
// beside a tied embedding and old rotary tables are ignored, as transformers does.)
absl::StatusOr<std::unique_ptr<WeightSource>> OpenCheckpoint(
    const std::string& model_dir, const std::vector<TensorSpec>& expected);

// Weights for a model that has none: a function of tensor name and index (below),
// scaled so that activations stay near one. The same numbers on every machine, as
// fast as memory takes them.
//
//   u(name, i) = top 24 bits of splitmix64(fnv1a64(name) + i) / 2^23 - 1, in [-1, 1)
//   matrix [r, c]   u * float(sqrt(3 / c))
//   norm weight     1 + u / 8
//   bias            u / 2
std::unique_ptr<WeightSource> MakeDummyWeights();

// What the formula knows of a tensor: number i is center + half_width * u, with the
// top 24 bits of splitmix64(key + i) in u. For devices that make their own.
struct DummyFormula {
  uint64_t key = 0;
  float center = 0;
  float half_width = 0;
};
DummyFormula DummyFormulaOf(const TensorSpec& tensor);

// `count` numbers of `from` at `in` as `to` at `out`; rounds to nearest even.
void ConvertNumbers(const void* in, DType from, void* out, DType to, int64_t count);

}  // namespace weft::worker
