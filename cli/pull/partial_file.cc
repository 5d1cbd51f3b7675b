#include "cli/pull/partial_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace weft::pull {
namespace {

constexpr std::string_view kMagic = "weft-partial-1\n\n";
constexpr int64_t kMagicBytes = kMagic.size();
constexpr int64_t kCountBytes = sizeof(int64_t);

absl::Status Failure(const std::string& path) {
  if (errno == ENOSPC || errno == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat(
        path, ": the disk is full; make room and repeat: what is there need not come again"));
  }
  return absl::ErrnoToStatus(errno, path);
}

}  // namespace

PartialFile::PartialFile(std::string path, int64_t size, int fd)
    : path_(std::move(path)),
      size_(size),
      fd_(fd),
      progress_((size + kPieceBytes - 1) / kPieceBytes) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::move(other.path_)),
      size_(other.size_),
      fd_(std::exchange(other.fd_, -1)),
      progress_(std::move(other.progress_)) {}

PartialFile::~PartialFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<PartialFile> PartialFile::Open(const std::string& path, int64_t size) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return Failure(path);
  PartialFile file(path, size, fd);
  if (file.Resume()) return file;
  if (auto s = file.Clear(); !s.ok()) return s;
  return file;
}

int64_t PartialFile::End(int piece) const { return std::min(Begin(piece) + kPieceBytes, size_); }

bool PartialFile::Resume() {
  struct stat facts;
  const int64_t counts_bytes = kCountBytes * num_pieces();
  std::string magic(kMagicBytes, '\0');
  if (fstat(fd_, &facts) != 0) return false;
  if (size_ > 0 && facts.st_size == size_) {  // the process ended within Finish
    for (int i = 0; i < num_pieces(); ++i) progress_[i] = End(i) - Begin(i);
    return true;
  }
  if (facts.st_size != size_ + kMagicBytes + counts_bytes ||
      pread(fd_, magic.data(), kMagicBytes, size_) != kMagicBytes || magic != kMagic ||
      pread(fd_, progress_.data(), counts_bytes, size_ + kMagicBytes) != counts_bytes) {
    return false;
  }
  for (int i = 0; i < num_pieces(); ++i) {
    if (progress_[i] < 0 || progress_[i] > End(i) - Begin(i)) return false;
  }
  return true;
}

absl::Status PartialFile::Clear() {
  std::fill(progress_.begin(), progress_.end(), 0);
  // Emptied first: old bytes leave the disk, too.
  if (ftruncate(fd_, 0) != 0 ||
      ftruncate(fd_, size_ + kMagicBytes + kCountBytes * num_pieces()) != 0) {
    return Failure(path_);
  }
  return WriteAt(size_, kMagic);
}

PartialFile::Range PartialFile::Missing(int piece) const {
  return {Begin(piece) + progress_[piece], End(piece)};
}

int64_t PartialFile::num_present() const {
  return std::accumulate(progress_.begin(), progress_.end(), int64_t{0});
}

absl::Status PartialFile::Write(int64_t offset, std::string_view bytes) {
  WEFT_CHECK(offset >= 0 && offset + static_cast<int64_t>(bytes.size()) <= size_);
  while (!bytes.empty()) {
    const int piece = static_cast<int>(offset / kPieceBytes);
    const int64_t in_piece = offset - Begin(piece);
    const int64_t size = std::min<int64_t>(bytes.size(), End(piece) - offset);
    WEFT_CHECK(in_piece <= progress_[piece]);
    if (auto s = WriteAt(offset, bytes.substr(0, size)); !s.ok()) return s;
    if (in_piece + size > progress_[piece]) {
      progress_[piece] = in_piece + size;
      const std::string_view count(reinterpret_cast<const char*>(&progress_[piece]), kCountBytes);
      if (auto s = WriteAt(size_ + kMagicBytes + kCountBytes * piece, count); !s.ok()) return s;
    }
    offset += size;
    bytes.remove_prefix(size);
  }
  return absl::OkStatus();
}

absl::Status PartialFile::WriteAt(int64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failure(path_);
    offset += written;
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Finish(const std::string& path) {
  WEFT_CHECK(IsComplete());
  if (ftruncate(fd_, size_) != 0 || fsync(fd_) != 0 || rename(path_.c_str(), path.c_str()) != 0) {
    return Failure(path);
  }
  return absl::OkStatus();
}

}  // namespace weft::pull
