// One safetensors file: 8 bytes of header length, a JSON header, then the
// tensors' bytes one after another. https://github.com/huggingface/safetensors
//
// The whole header is judged when the file is opened, against the file's real
// size and before anything is allocated for a tensor. Bytes are then read with
// pread straight into the caller's memory: no second copy, no alignment that the
// file would have to keep (R1's tensors start at an odd offset), and a disk error
// is a Status where a mapping would raise SIGBUS.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::worker {

// As the format names them ("BF16"); every type of whole bytes is known here, so
// that the file's layout can be checked even where the model cannot use one.
struct StoredType {
  const char* name;
  int bytes;
};

struct StoredTensor {
  StoredType type;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // in the file
  int64_t bytes = 0;
};

class SafetensorsFile {
 public:
  // Larger headers are refused; the reference reader has the same bound.
  static constexpr int64_t kMaxHeaderBytes = 100'000'000;

  // InvalidArgument or DataLoss names the file and, where one is to blame, the
  // tensor: truncated, header too long, not JSON, a name twice, an unknown type, a
  // shape that overflows or does not match its bytes, ranges that overlap, leave a
  // gap, or pass the file's end.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;
  ~SafetensorsFile();

  const std::string& path() const { return path_; }
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }

  // `bytes` bytes at `offset` of the file. Any thread.
  absl::Status Read(int64_t offset, int64_t bytes, void* out) const;

 private:
  SafetensorsFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status ParseHeader(int64_t file_bytes);

  std::string path_;
  int fd_ = -1;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace weft::worker
