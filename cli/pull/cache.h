// A model in the cache of the Hugging Face tools, which they share with us:
//
//   models--owner--name/blobs/<digest>                 the bytes, named after them
//   models--owner--name/snapshots/<commit>/<file>  ->  ../../blobs/<digest>
//   models--owner--name/refs/<branch>                  the commit that it last was
//   .locks/models--owner--name/<digest>.lock           held by who brings that blob
//
// What is there is whole: blobs, links and refs come into being by renaming.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/pull/hub.h"

namespace weft::pull {

class RepoCache {
 public:
  RepoCache(const std::string& cache, const std::string& repo);

  // Makes the folders; PermissionDenied and others name the one that cannot be.
  absl::Status Prepare() const;

  std::string BlobPath(const Digest& digest) const;
  std::string PartialPath(const Digest& digest) const;  // not a name that other tools go on with
  std::string LockPath(const Digest& digest) const;
  std::string SnapshotPath(const std::string& commit) const;

  // Whether the file need not be downloaded: its blob is there, or a snapshot of a cache without
  // links holds it.
  bool Has(const std::string& commit, const HubFile& file) const;

  // The file of the snapshot becomes a link to its blob, unless it is there already.
  absl::Status Link(const std::string& commit, const HubFile& file) const;

  std::optional<std::string> ReadRef(const std::string& revision) const;  // a commit is its own
  absl::Status WriteRef(const std::string& revision, const std::string& commit) const;

 private:
  std::string folder_, locks_;
};

// The lock that other tools take, too; given up when the process ends, however it ends.
class BlobLock {
 public:
  // nullopt: another holds it.
  static absl::StatusOr<std::optional<BlobLock>> TryTake(const std::string& path);
  BlobLock(BlobLock&& other) noexcept;
  BlobLock& operator=(BlobLock&&) = delete;
  ~BlobLock();

 private:
  explicit BlobLock(int fd) : fd_(fd) {}
  int fd_;
};

// What is missing of a model in this folder to be served: a name, or a shard of the index; empty
// if nothing is. `needs_weights`: a gateway needs none.
std::string MissingFile(const std::string& folder, bool needs_weights);

// OK if `num_bytes` fit where `folder` is or will be.
absl::Status CheckSpace(const std::string& folder, int64_t num_bytes);

}  // namespace weft::pull
