// Asks a server with OpenAI's API one thing after another, over one connection, with another try
// where that helps. One for each thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/chat/client.h"
#include "cli/interrupts.h"
#include "common/curl.h"

namespace weft::eval {

struct Answer {
  std::string reasoning;
  std::string content;
  std::string finish_reason;
  int64_t num_prompt_tokens = 0;
  int64_t num_tokens = 0;
  double seconds = 0;  // of the try that succeeded
};

class Asker {
 public:
  Asker(const chat::Server& server, double timeout_s, const cli::Interrupts& interrupts);

  // Streams the answer to a chat request. What may pass (no connection, an answer that broke off,
  // 408, 429, 5xx) is tried again as pull::Backoff has it, after Retry-After where the server
  // says one. Cancelled: a signal has come. An error's message is the server's where it has one.
  absl::StatusOr<Answer> Ask(boost::json::object request);

 private:
  absl::StatusOr<Answer> Try(const std::string& body);
  absl::Duration retry_after() const;

  const chat::Server server_;
  const double timeout_s_;
  const cli::Interrupts& interrupts_;
  const Curl curl_;
};

}  // namespace weft::eval
