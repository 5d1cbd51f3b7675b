#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "worker/model/weight_source.h"

namespace weft::worker {
namespace {

uint64_t Fnv1a64(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

uint64_t SplitMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class DummyWeights : public WeightSource {
 public:
  absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                         void* out) const override {
    WEFT_CHECK(range.first >= 0 && range.first + range.count <= tensor.num_elements());
    const DummyFormula formula = DummyFormulaOf(tensor);
    const uint64_t key = formula.key + range.first;
    constexpr int64_t kChunk = 4096;  // numbers made before they are converted
    float chunk[kChunk];
    for (int64_t start = 0; start < range.count; start += kChunk) {
      const int64_t n = std::min(kChunk, range.count - start);
      for (int64_t i = 0; i < n; ++i) {
        const auto top = static_cast<int32_t>(SplitMix64(key + start + i) >> 40);
        const float u = static_cast<float>(top) * 0x1p-23f - 1;
        chunk[i] = formula.center + u * formula.half_width;
      }
      ConvertNumbers(chunk, DType::kFloat32, static_cast<char*>(out) + start * BytesOf(dtype),
                     dtype, n);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Fingerprint() const override { return std::string("dummy"); }
};

}  // namespace

DummyFormula DummyFormulaOf(const TensorSpec& tensor) {
  const uint64_t key = Fnv1a64(tensor.name);
  if (tensor.shape.size() == 2) {
    const double columns = static_cast<double>(tensor.shape[1]);
    return {key, 0, static_cast<float>(std::sqrt(3.0 / columns))};
  }
  if (tensor.name.ends_with(".bias")) return {key, 0, 0.5f};
  return {key, 1, 0.125f};
}

std::unique_ptr<WeightSource> MakeDummyWeights() { return std::make_unique<DummyWeights>(); }

}  // namespace weft::worker
