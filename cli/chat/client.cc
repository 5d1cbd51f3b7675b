#include "cli/chat/client.h"

#include <boost/json.hpp>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/bench/sse_scanner.h"

namespace weft::chat {
namespace {

namespace json = boost::json;

// Ctrl-C is looked at that often.
constexpr int kPollMs = 100;
constexpr size_t kMaxBodyBytes = 1 << 20;

}  // namespace

absl::StatusOr<Server> Complete(Server server) {
  if (!absl::StartsWithIgnoreCase(server.url, "http://") &&
      !absl::StartsWithIgnoreCase(server.url, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--url ", server.url, ": it looks like http://127.0.0.1:8000"));
  }
  absl::string_view url = server.url;
  while (absl::ConsumeSuffix(&url, "/")) {
  }
  absl::ConsumeSuffix(&url, "/v1");
  server.url = std::string(url);
  const char* const openai_key = std::getenv("OPENAI_API_KEY");
  if (server.api_key.empty() && openai_key != nullptr) server.api_key = openai_key;
  for (const char c : server.api_key) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("--api-key holds what no header may hold");
    }
  }
  return server;
}

Client::Client(Server server, const cli::Interrupts& interrupts)
    : server_(std::move(server)), interrupts_(interrupts), multi_(curl_multi_init()) {}

Client::~Client() { curl_multi_cleanup(multi_); }

absl::Status Client::Send(const std::string& path, const std::string& body, const Sink& sink) {
  struct Answer {
    CURL* curl;
    const Sink& sink;
    std::string refusal;
    long status() const {
      long status = 0;
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
      return status;
    }
  };
  char curl_error[CURL_ERROR_SIZE] = "";
  CurlHeaders headers;
  const Curl curl = NewCurl(server_.ca_file);
  Answer answer{.curl = curl.get(), .sink = sink, .refusal = {}};
  CURL* const c = curl.get();
  curl_easy_setopt(c, CURLOPT_URL, (server_.url + path).c_str());
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_error);
  if (!server_.api_key.empty()) headers.Add("Authorization: Bearer " + server_.api_key);
  if (!body.empty()) {
    headers.Add("Content-Type: application/json");
    headers.Add("Expect:");  // no pause before a long conversation
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  }
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(
      c, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t size, void* to) -> size_t {
        Answer& answer = *static_cast<Answer*>(to);
        if (answer.status() == 200) {
          answer.sink({data, size});
        } else if (answer.refusal.size() < kMaxBodyBytes) {
          answer.refusal.append(data, size);
        }
        return size;
      });
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);

  curl_multi_add_handle(multi_, c);
  int num_running = 1;
  while (num_running > 0 && interrupts_.signal() == 0) {
    curl_multi_perform(multi_, &num_running);
    if (num_running > 0) curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
  }
  int num_left = 0;
  const CURLMsg* const message = curl_multi_info_read(multi_, &num_left);
  const CURLcode code = message == nullptr ? CURLE_ABORTED_BY_CALLBACK : message->data.result;
  curl_multi_remove_handle(multi_, c);
  if (interrupts_.signal() != 0) return absl::CancelledError("stopped");
  if (code != CURLE_OK) {
    return absl::UnavailableError(
        absl::StrCat(server_.url, ": ", *curl_error ? curl_error : curl_easy_strerror(code)));
  }
  if (answer.status() == 200) return absl::OkStatus();
  const std::string hint = answer.status() == 401 ? "; --api-key or WEFT_API_KEY gives a key" : "";
  return absl::FailedPreconditionError(absl::StrCat(server_.url, " answers HTTP ", answer.status(),
                                                    ": ", bench::ErrorMessage(answer.refusal),
                                                    hint));
}

absl::StatusOr<std::vector<std::string>> Client::Models() {
  std::string body;
  const absl::Status sent = Send("/v1/models", "", [&](std::string_view bytes) {
    if (body.size() < kMaxBodyBytes) body += bytes;
  });
  if (!sent.ok()) return sent;
  boost::system::error_code error;
  const json::value list = json::parse(body, error);
  const json::value* const data = error ? nullptr : list.find_pointer("/data", error);
  if (data == nullptr || !data->is_array()) {
    return absl::FailedPreconditionError(
        absl::StrCat(server_.url,
                     "/v1/models is no list of models: is it an OpenAI-compatible "
                     "server?"));
  }
  std::vector<std::string> names;
  for (const json::value& model : data->get_array()) {
    const json::value* const id = model.find_pointer("/id", error);
    if (id != nullptr && id->is_string()) names.emplace_back(id->get_string());
  }
  return names;
}

absl::StatusOr<std::string> Client::OnlyModel() {
  absl::StatusOr<std::vector<std::string>> models = Models();
  if (!models.ok()) return models.status();
  if (models->size() == 1) return models->front();
  if (models->empty()) return absl::FailedPreconditionError("the server has no model");
  return absl::FailedPreconditionError(absl::StrCat(
      "the server has several models, ", absl::StrJoin(*models, ", "), ": --model says which"));
}

absl::StatusOr<std::string> Client::Ask(json::object request, AnswerReader::OnText on_text) {
  request["stream"] = true;
  AnswerReader reader(std::move(on_text));
  const absl::Status sent = Send("/v1/chat/completions", json::serialize(request),
                                 [&](std::string_view bytes) { reader.Feed(bytes); });
  if (!reader.error().empty()) return absl::InternalError(reader.error());
  if (!sent.ok()) return sent;
  if (!reader.is_done()) return absl::UnavailableError("the answer ended early");
  return reader.finish_reason();
}

}  // namespace weft::chat
