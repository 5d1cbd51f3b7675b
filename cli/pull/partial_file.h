// A file that is being downloaded, in pieces that come in any order and at once, and what is there
// of it when the process ends in between.
//
//   bytes 0 .. size        the file's own, with holes
//   kMagic                 behind them, until Finish cuts them off:
//   int64 x num_pieces     how far each piece has come, from its start
//
// A count is written behind its bytes, so that a killed process leaves both or neither. After a
// power failure it may promise too much: the checksum says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::pull {

class PartialFile {
 public:
  // Small enough that losing one costs little and several connections share a shard; large enough
  // that a hub which counts requests is not asked too often.
  static constexpr int64_t kPieceBytes = 32 << 20;

  struct Range {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
  };

  // Goes on with the file at `path` if that is one of the same size, else begins it.
  static absl::StatusOr<PartialFile> Open(const std::string& path, int64_t size);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  int num_pieces() const { return static_cast<int>(progress_.size()); }
  Range Missing(int piece) const;  // its rest; empty: it is whole
  int64_t num_present() const;     // bytes that need not come again
  bool IsComplete() const { return num_present() == size_; }
  int64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // The first bytes that are missing of the piece that holds `offset`, or bytes already there
  // again. Beyond the piece's end it goes on with the next.
  absl::Status Write(int64_t offset, std::string_view bytes);
  // Nothing is there.
  absl::Status Clear();
  // Every piece is whole: gives the file its size, puts it on the disk and moves it.
  absl::Status Finish(const std::string& path);

 private:
  PartialFile(std::string path, int64_t size, int fd);
  bool Resume();
  absl::Status WriteAt(int64_t offset, std::string_view bytes);
  int64_t Begin(int piece) const { return piece * kPieceBytes; }
  int64_t End(int piece) const;

  std::string path_;
  int64_t size_;
  int fd_;
  std::vector<int64_t> progress_;
};

}  // namespace weft::pull
