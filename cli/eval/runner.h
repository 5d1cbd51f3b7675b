// Asks each problem under each seed, several at a time, and judges what comes.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cli/chat/client.h"
#include "cli/eval/problem.h"
#include "cli/eval/prompt.h"
#include "cli/eval/transcript.h"
#include "cli/interrupts.h"

namespace weft::eval {

struct RunOptions {
  chat::Server server;  // its URL without /v1
  std::string model;
  Prompt prompt;  // with the temperature, top_p, seeds and max_tokens that hold
  int concurrency = 16;
  double timeout_s = 3600;  // of one request
};

// A problem's id and a seed, from 0.
using Task = std::pair<std::string, int>;

struct RunResult {
  std::vector<Transcript> transcripts;  // of this run, as they came
  int num_failed = 0;                   // requests without an answer
  std::string failure;                  // what one of them says
  // OK: every task was tried. Cancelled: a signal has come. Otherwise on_transcript's error, or
  // that the server cannot be asked at all: what failed so often in a row that it was given up.
  absl::Status status;
};

// `done` tasks are left out. `on_transcript` is called as answers come, by one thread at a time;
// what it returns ends the run unless OK.
RunResult Run(const std::vector<Problem>& problems, const std::set<Task>& done,
              const RunOptions& options, const cli::Interrupts& interrupts,
              const std::function<absl::Status(const Transcript&)>& on_transcript);

}  // namespace weft::eval
