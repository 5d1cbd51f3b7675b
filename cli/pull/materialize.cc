#include "cli/pull/materialize.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "cli/pull/hub.h"

namespace weft::pull {
namespace {

namespace fs = std::filesystem;

bool IsWeights(const std::string& name) {
  return name == kIndexFile || name.ends_with(".safetensors");
}

absl::Status Failure(const fs::path& path, const std::error_code& error) {
  return absl::ErrnoToStatus(error.value(), path.string());
}

absl::Status RefuseOtherWeights(const std::vector<std::string>& names, const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!IsWeights(name) || std::find(names.begin(), names.end(), name) != names.end()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(entry.path().string(),
                     " is not of this model: give --to a folder of its own, or empty it"));
  }
  return absl::OkStatus();
}

// Copied with its time, by which it is known again.
bool IsThere(const fs::path& from, const fs::path& to) {
  struct stat a, b;
  if (stat(from.c_str(), &a) != 0 || stat(to.c_str(), &b) != 0 || a.st_size != b.st_size) {
    return false;
  }
  const bool is_same_file = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
  return is_same_file ||
         (a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
}

absl::Status Place(const fs::path& from, const fs::path& to) {
  if (IsThere(from, to)) return absl::OkStatus();
  const fs::path temporary = absl::StrCat(to.string(), ".", getpid(), ".tmp");
  std::error_code error;
  fs::remove(temporary, error);
  const bool is_linked =
      to.extension() == ".safetensors" && link(from.c_str(), temporary.c_str()) == 0;
  if (!is_linked) {
    fs::copy_file(from, temporary, error);
    if (!error) fs::last_write_time(temporary, fs::last_write_time(from), error);
  }
  if (!error) fs::rename(temporary, to, error);
  if (!error) return absl::OkStatus();
  std::error_code ignored;
  fs::remove(temporary, ignored);
  return Failure(to, error);
}

}  // namespace

bool AreOnOneFileSystem(const std::string& a, const std::string& b) {
  const auto device = [](const std::string& folder) -> dev_t {
    fs::path place = fs::absolute(folder);
    struct stat facts = {};
    while (stat(place.c_str(), &facts) != 0 && place.has_relative_path()) {
      place = place.parent_path();
    }
    return facts.st_dev;
  };
  return device(a) == device(b);
}

absl::Status Materialize(const std::string& snapshot, const std::vector<std::string>& names,
                         const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Failure(folder, error);
  if (auto s = RefuseOtherWeights(names, folder); !s.ok()) return s;
  for (const std::string& name : names) {
    const fs::path from = fs::canonical(fs::path(snapshot) / name, error);
    if (error) return Failure(fs::path(snapshot) / name, error);
    if (auto s = Place(from, fs::path(folder) / name); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace weft::pull
