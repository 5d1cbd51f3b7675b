#include "cli/eval/transcript_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

constexpr int64_t kMaxLogBytes = int64_t{16} << 30;
constexpr int64_t kMaxSettingsBytes = 1 << 20;

absl::Status Failed(const std::string& path, const char* what) {
  return absl::UnavailableError(absl::StrCat(path, ": ", what, ": ", std::strerror(errno)));
}

// A setting that is not what it was.
absl::Status CompareSettings(const std::string& folder, const json::object& before,
                             const json::object& now) {
  for (const auto& field : now) {
    const json::value* const old = before.if_contains(field.key());
    if (old != nullptr && json::serialize(*old) == json::serialize(field.value())) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " holds a run with other settings: its ", std::string(field.key()),
                     " is ", old == nullptr ? "not known" : json::serialize(*old), " and not ",
                     json::serialize(field.value()), "; --output takes another folder"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFile(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::binary);
  file << text;
  file.close();
  if (!file) return Failed(beside, "cannot be written");
  if (rename(beside.c_str(), path.c_str()) != 0) return Failed(path, "cannot be written");
  return absl::OkStatus();
}

absl::StatusOr<TranscriptLog> TranscriptLog::Open(const std::string& folder,
                                                  const json::object& settings) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat("--output ", folder, ": ", error.message()));
  }
  const std::string path = folder + "/transcripts.jsonl";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Failed(path, "cannot be opened");
  TranscriptLog log(path, fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": another weft eval writes there; --output takes another folder"));
  }
  const std::string settings_path = folder + "/run.json";
  const absl::StatusOr<std::string> before = ReadFile(settings_path, kMaxSettingsBytes);
  if (before.ok()) {
    const absl::StatusOr<json::object> parsed = ParseJsonObject(*before);
    if (!parsed.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(settings_path, ": ", parsed.status().message()));
    }
    if (auto s = CompareSettings(folder, *parsed, settings); !s.ok()) return s;
  } else if (!absl::IsNotFound(before.status())) {
    return before.status();
  } else if (auto s = WriteFile(settings_path, json::serialize(settings) + "\n"); !s.ok()) {
    return s;
  }
  if (auto s = log.Read(); !s.ok()) return s;
  return log;
}

absl::Status TranscriptLog::Read() {
  const absl::StatusOr<std::string> text = ReadFile(path_, kMaxLogBytes);
  if (!text.ok()) return text.status();
  size_t begin = 0;
  for (size_t end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
    absl::StatusOr<Transcript> transcript =
        ParseTranscript(std::string_view(*text).substr(begin, end - begin));
    if (!transcript.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(path_, ", line ", transcripts_.size() + 1,
                                                        ": ", transcript.status().message()));
    }
    transcripts_.push_back(*std::move(transcript));
  }
  if (ftruncate(fd_, static_cast<off_t>(begin)) != 0) return Failed(path_, "cannot be cut");
  if (lseek(fd_, 0, SEEK_END) < 0) return Failed(path_, "cannot be appended to");
  return absl::OkStatus();
}

TranscriptLog::TranscriptLog(TranscriptLog&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      transcripts_(std::move(other.transcripts_)) {}

TranscriptLog::~TranscriptLog() {
  if (fd_ >= 0) close(fd_);
}

absl::Status TranscriptLog::Append(Transcript transcript) {
  const std::string line = json::serialize(ToJson(transcript)) + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = write(fd_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed(path_, "cannot be written");
    done += static_cast<size_t>(written);
  }
  transcripts_.push_back(std::move(transcript));
  return absl::OkStatus();
}

}  // namespace weft::eval
