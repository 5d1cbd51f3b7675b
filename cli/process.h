// One child process: started, listened to, signalled, reaped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/supervisor.h"

namespace weft::cli {

// A running child. It has an empty standard input, and one pipe for its standard
// output and error. It stands in a process group of its own, so that a terminal's
// Ctrl-C reaches the supervisor alone, and is killed by the kernel when the thread
// that started it ends, however that comes.
//
// Thread-compatible; Start and the destructor on one thread that lives as long.
class Process {
 public:
  // argv[0] is the executable's path; `environment`, "NAME=value" each, goes before what this
  // process has. NotFound or PermissionDenied when it cannot be run; the message names it.
  static absl::StatusOr<Process> Start(const std::vector<std::string>& argv,
                                       const std::vector<std::string>& environment = {});

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  // Kills and reaps what still runs.
  ~Process();

  pid_t pid() const { return pid_; }
  // Non-blocking; end of file when the child and all it started have closed it.
  int output() const { return output_; }

  void Signal(int signal);
  // nullopt while it runs. After it has said how the child ended, the child is
  // reaped, and Signal does nothing.
  std::optional<Ending> Reap();

 private:
  Process(pid_t pid, int output) : pid_(pid), output_(output) {}

  pid_t pid_ = -1;  // -1: reaped, or moved from
  int output_ = -1;
};

// Cuts a stream of bytes into lines. A line longer than kMaxLineBytes comes in
// pieces.
class LineCutter {
 public:
  static constexpr size_t kMaxLineBytes = 64 << 10;

  std::vector<std::string> Feed(const char* data, size_t size);
  // What stands behind the last line break; empty if nothing does.
  std::string Rest();

 private:
  std::string partial_;
};

}  // namespace weft::cli
