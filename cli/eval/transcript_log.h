// The transcripts of a run, on disk: whatever breaks, what has come stays.
//
//   DIR/run.json           what was asked for; a run goes on only with the same
//   DIR/transcripts.jsonl  an answer a line, in the order in which they came
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/eval/transcript.h"

namespace weft::eval {

class TranscriptLog {
 public:
  // Goes on with what `folder` holds, or begins it. FailedPrecondition: it holds a run with other
  // settings (the message says which), or another process writes to it. A last line that a break
  // has cut is dropped.
  static absl::StatusOr<TranscriptLog> Open(const std::string& folder,
                                            const boost::json::object& settings);
  TranscriptLog(TranscriptLog&& other) noexcept;
  TranscriptLog& operator=(TranscriptLog&&) = delete;
  ~TranscriptLog();

  const std::vector<Transcript>& transcripts() const { return transcripts_; }
  // One thread at a time. The line is handed to the system before it returns.
  absl::Status Append(Transcript transcript);

 private:
  TranscriptLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status Read();

  std::string path_;
  int fd_;
  std::vector<Transcript> transcripts_;
};

// Through a file beside it, so that a break leaves the old one or the new one.
absl::Status WriteFile(const std::string& path, std::string_view text);

}  // namespace weft::eval
