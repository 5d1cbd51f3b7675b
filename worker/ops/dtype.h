// The number formats a checkpoint may hold and a model may compute in.
#pragma once

#include <cstdint>

namespace weft::worker {

enum class DType { kFloat32, kBFloat16, kFloat16 };

constexpr int64_t BytesOf(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

constexpr const char* NameOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat16:
      return "float16";
  }
  return "";
}

}  // namespace weft::worker
