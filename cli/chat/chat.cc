#include "cli/chat/chat.h"

#include <signal.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "cli/chat/client.h"
#include "cli/chat/terminal.h"
#include "common/flags.h"

namespace weft::chat {
namespace {

namespace json = boost::json;

struct Options {
  Server server;
  std::string model;  // empty: the server's only one
  std::string system;
  int max_tokens = 0;  // 0: the server's limit
  std::vector<std::string> question;
};

void AddFlags(Flags& flags, Options& options) {
  flags.AddPositional("QUESTION", options.question,
                      "What to ask; without one, a conversation (/reset begins anew, /quit ends)");
  flags.Add("--url", options.server.url, "The server, http:// or https://");
  flags.Add("--model", options.model, "Model to ask (default: the server's only one)");
  flags.Add("--api-key", options.server.api_key,
            "Sent as a bearer token (default: OPENAI_API_KEY, too, has it)");
  flags.Add("--system", options.system, "System message");
  flags.Add("--max-tokens", options.max_tokens,
            "Tokens of an answer, reasoning included; 0: as many as the server allows", 0, 1 << 24);
  flags.Add("--ca-file", options.server.ca_file,
            "PEM file of authorities to trust (default: SSL_CERT_FILE's, else the system's)");
}

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft chat: " << status.message() << '\n';
  return exit_code;
}

class Conversation {
 public:
  Conversation(const Options& options, Client& client, Terminal& terminal)
      : options_(options), client_(client), terminal_(terminal) {
    Reset();
  }

  void Reset() {
    messages_.clear();
    if (!options_.system.empty()) Say("system", options_.system);
  }

  // The answer, onto the terminal. What was not answered was not asked; of an answer that was
  // stopped, what is there counts.
  absl::Status Ask(const std::string& question) {
    Say("user", question);
    json::object request = {{"model", options_.model}, {"messages", messages_}};
    if (options_.max_tokens > 0) request["max_tokens"] = options_.max_tokens;
    std::string answer;
    const auto finish_reason =
        client_.Ask(std::move(request), [&](Part part, std::string_view text) {
          if (part == Part::kContent) answer += text;
          terminal_.Write(part, text);
        });
    terminal_.EndAnswer();
    if (finish_reason.ok() || (absl::IsCancelled(finish_reason.status()) && !answer.empty())) {
      Say("assistant", answer);
    } else {
      messages_.pop_back();
    }
    if (finish_reason.ok() && *finish_reason == "length") {
      std::cerr << "(cut off at the limit of tokens)\n";
    }
    return finish_reason.status();
  }

 private:
  void Say(const char* role, const std::string& content) {
    messages_.push_back(json::object{{"role", role}, {"content", content}});
  }

  const Options& options_;
  Client& client_;
  Terminal& terminal_;
  json::array messages_;
};

int Converse(Conversation& conversation, Terminal& terminal, cli::Interrupts& interrupts) {
  while (const std::optional<std::string> typed = terminal.ReadLine()) {
    const std::string line(absl::StripAsciiWhitespace(*typed));
    if (line.empty()) continue;
    if (line == "/quit") return 0;
    if (line == "/reset") {
      conversation.Reset();
      continue;
    }
    const absl::Status status = conversation.Ask(line);
    if (absl::IsCancelled(status)) {
      if (interrupts.signal() != SIGINT || isatty(STDIN_FILENO) != 1) break;
      interrupts.Clear();
    } else if (!status.ok()) {
      Fail(status, 1);
      if (isatty(STDIN_FILENO) != 1) return 1;  // nobody is there to try again
    }
  }
  return interrupts.signal() == 0 ? 0 : 128 + interrupts.signal();
}

}  // namespace

int Chat(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft chat", "Asks a server with OpenAI's API, and prints the answer as it comes.");
  AddFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  absl::StatusOr<Server> server = Complete(options.server);
  if (!server.ok()) {
    Fail(server.status(), 2);
    std::cerr << "See --help.\n";
    return 2;
  }
  options.server = *std::move(server);

  cli::Interrupts interrupts;
  Client client(options.server, interrupts);
  if (options.model.empty()) {
    absl::StatusOr<std::string> model = client.OnlyModel();
    if (absl::IsCancelled(model.status())) return 128 + interrupts.signal();
    if (!model.ok()) return Fail(model.status(), 1);
    options.model = *std::move(model);
  }
  Terminal terminal(interrupts);
  Conversation conversation(options, client, terminal);
  if (options.question.empty()) return Converse(conversation, terminal, interrupts);
  const absl::Status status = conversation.Ask(absl::StrJoin(options.question, " "));
  if (absl::IsCancelled(status)) return 128 + interrupts.signal();
  return status.ok() ? 0 : Fail(status, 1);
}

}  // namespace weft::chat
