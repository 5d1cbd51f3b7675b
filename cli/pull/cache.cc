#include "cli/pull/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/json_fields.h"

namespace weft::pull {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxIndexBytes = 64 << 20;

absl::Status Failure(const std::string& what, const std::error_code& error) {
  return absl::ErrnoToStatus(error.value(), what);
}

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? Failure(absl::StrCat("cannot make ", folder.string()), error) : absl::OkStatus();
}

// Beside `path`, for whoever then renames it; no other process's.
std::string Temporary(const std::string& path) { return absl::StrCat(path, ".", getpid(), ".tmp"); }

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  unlink(from.c_str());
  return absl::ErrnoToStatus(error, to);
}

}  // namespace

RepoCache::RepoCache(const std::string& cache, const std::string& repo) {
  const std::string name = absl::StrCat("models--", absl::StrReplaceAll(repo, {{"/", "--"}}));
  folder_ = absl::StrCat(cache, "/", name);
  locks_ = absl::StrCat(cache, "/.locks/", name);
}

absl::Status RepoCache::Prepare() const {
  for (const std::string& folder : {folder_ + "/blobs", folder_ + "/refs", locks_}) {
    if (auto s = MakeFolder(folder); !s.ok()) return s;
  }
  return absl::OkStatus();
}

std::string RepoCache::BlobPath(const Digest& digest) const {
  return absl::StrCat(folder_, "/blobs/", digest.hex);
}

std::string RepoCache::PartialPath(const Digest& digest) const {
  return BlobPath(digest) + ".weft.incomplete";
}

std::string RepoCache::LockPath(const Digest& digest) const {
  return absl::StrCat(locks_, "/", digest.hex, ".lock");
}

std::string RepoCache::SnapshotPath(const std::string& commit) const {
  return absl::StrCat(folder_, "/snapshots/", commit);
}

bool RepoCache::Has(const std::string& commit, const HubFile& file) const {
  for (const std::string& path :
       {BlobPath(file.digest), absl::StrCat(SnapshotPath(commit), "/", file.name)}) {
    std::error_code error;
    if (fs::is_regular_file(path, error) &&
        static_cast<int64_t>(fs::file_size(path, error)) == file.size) {
      return true;
    }
  }
  return false;
}

absl::Status RepoCache::Link(const std::string& commit, const HubFile& file) const {
  const std::string path = absl::StrCat(SnapshotPath(commit), "/", file.name);
  const std::string target = "../../blobs/" + file.digest.hex;
  std::error_code error;
  const bool has_blob = fs::exists(BlobPath(file.digest), error);
  const fs::file_status there = fs::symlink_status(path, error);
  if (!has_blob && fs::is_regular_file(there)) return absl::OkStatus();
  if (fs::is_symlink(there) && fs::read_symlink(path, error) == target) return absl::OkStatus();
  if (auto s = MakeFolder(SnapshotPath(commit)); !s.ok()) return s;
  const std::string temporary = Temporary(path);
  unlink(temporary.c_str());
  if (symlink(target.c_str(), temporary.c_str()) != 0) return absl::ErrnoToStatus(errno, path);
  return Rename(temporary, path);
}

std::optional<std::string> RepoCache::ReadRef(const std::string& revision) const {
  if (IsCommit(revision)) return revision;
  const auto text = ReadFile(absl::StrCat(folder_, "/refs/", revision), 1024);
  if (!text.ok()) return std::nullopt;
  std::string commit(absl::StripAsciiWhitespace(*text));
  return IsCommit(commit) ? std::optional(commit) : std::nullopt;
}

absl::Status RepoCache::WriteRef(const std::string& revision, const std::string& commit) const {
  if (ReadRef(revision) == commit) return absl::OkStatus();
  const std::string path = absl::StrCat(folder_, "/refs/", revision);
  if (auto s = MakeFolder(fs::path(path).parent_path()); !s.ok()) return s;
  const std::string temporary = Temporary(path);
  // Without a line's end: other tools take the whole file.
  if (!(std::ofstream(temporary, std::ios::binary) << commit << std::flush)) {
    return absl::ErrnoToStatus(errno, path);
  }
  return Rename(temporary, path);
}

absl::StatusOr<std::optional<BlobLock>> BlobLock::TryTake(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  BlobLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return std::optional<BlobLock>(std::move(lock));
  if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<BlobLock>();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
}

BlobLock::BlobLock(BlobLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

BlobLock::~BlobLock() {
  if (fd_ >= 0) close(fd_);
}

std::string MissingFile(const std::string& folder, bool needs_weights) {
  const auto has = [&](const char* name) {
    std::error_code error;
    return fs::is_regular_file(fs::path(folder) / name, error);
  };
  for (const char* name : kRequiredFiles) {
    if (!has(name)) return name;
  }
  if (!needs_weights || has(kWeightsFile)) return "";
  const auto text = ReadFile((fs::path(folder) / kIndexFile).string(), kMaxIndexBytes);
  if (!text.ok()) return kWeightsFile;
  const auto shards = ParseIndex(*text);
  if (!shards.ok()) return kIndexFile;
  for (const std::string& shard : *shards) {
    if (!has(shard.c_str())) return shard;
  }
  return "";
}

absl::Status CheckSpace(const std::string& folder, int64_t num_bytes) {
  fs::path place = fs::absolute(folder);
  std::error_code error;
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  struct statvfs facts;
  if (statvfs(place.c_str(), &facts) != 0) return absl::ErrnoToStatus(errno, place.string());
  const double available =
      static_cast<double>(facts.f_bavail) * static_cast<double>(facts.f_frsize);
  if (static_cast<double>(num_bytes) <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("not enough space: %.2f GB are needed in %s and %.2f GB are free",
                      static_cast<double>(num_bytes) / 1e9, folder, available / 1e9));
}

}  // namespace weft::pull
