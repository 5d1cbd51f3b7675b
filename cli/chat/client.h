// A server with OpenAI's API, over HTTP or HTTPS.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/chat/answer_reader.h"
#include "cli/interrupts.h"
#include "common/curl.h"

namespace weft::chat {

struct Server {
  std::string url = "http://127.0.0.1:8000";  // with or without /v1
  std::string api_key;
  std::string ca_file;
};

// With its URL as requests want it, and OPENAI_API_KEY's key where it has none. InvalidArgument,
// naming the flag: what no server or header is like.
absl::StatusOr<Server> Complete(Server server);

class Client {
 public:
  Client(Server server, const cli::Interrupts& interrupts);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Names by which models can be asked for.
  absl::StatusOr<std::vector<std::string>> Models();

  // The one that needs no name; an error lists them if there are several.
  absl::StatusOr<std::string> OnlyModel();

  // Streams the answer to a chat request; returns the finish_reason. Cancelled: a signal has come.
  // Another error's message is the server's own where it has one.
  absl::StatusOr<std::string> Ask(boost::json::object request, AnswerReader::OnText on_text);

 private:
  using Sink = std::function<void(std::string_view)>;

  // GET without a body. Bytes of a 200 go to `sink`; another status is an error with what it says.
  absl::Status Send(const std::string& path, const std::string& body, const Sink& sink);

  const Server server_;
  const cli::Interrupts& interrupts_;
  CURLM* const multi_;  // keeps the connection from question to question
};

}  // namespace weft::chat
