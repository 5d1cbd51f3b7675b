// Hex SHA-256, for a model's fingerprint.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace weft::worker {

class Digest {
 public:
  Digest();
  ~Digest();
  void Add(std::string_view bytes);
  std::string Hex();  // ends the sum; once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::worker
