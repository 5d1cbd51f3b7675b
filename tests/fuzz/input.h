// A fuzzer's bytes as fields. They are separated by 0xFF, which no UTF-8 holds, so that
// seeds stay readable and any text can be a field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // 0 behind the end.
  unsigned Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  std::string_view Field() {
    const size_t end = rest_.find('\xff');
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return field;
  }

 private:
  std::string_view rest_;
};

}  // namespace weft::fuzz
