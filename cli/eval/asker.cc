#include "cli/eval/asker.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/bench/sse_scanner.h"
#include "cli/chat/answer_reader.h"
#include "cli/pull/backoff.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

constexpr size_t kMaxRefusalBytes = 1 << 20;
constexpr absl::Duration kPoll = absl::Milliseconds(50);

bool MayPass(long status) { return status == 408 || status == 429 || status >= 500; }

// Of one try.
struct Reception {
  CURL* curl;
  Answer answer = {};
  chat::AnswerReader reader{[this](chat::Part part, std::string_view text) {
    (part == chat::Part::kReasoning ? answer.reasoning : answer.content) += text;
  }};
  bench::SseScanner scanner{};  // for usage
  std::string refusal = {};

  long status() const {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  void Take(std::string_view bytes) {
    if (status() == 200) {
      reader.Feed(bytes);
      scanner.Feed(bytes);
    } else if (refusal.size() < kMaxRefusalBytes) {
      refusal += bytes;
    }
  }
};

}  // namespace

Asker::Asker(const chat::Server& server, double timeout_s, const cli::Interrupts& interrupts)
    : server_(server),
      timeout_s_(timeout_s),
      interrupts_(interrupts),
      curl_(NewCurl(server.ca_file)) {}

absl::StatusOr<Answer> Asker::Ask(json::object request) {
  request["stream"] = true;
  request["stream_options"] = json::object{{"include_usage", true}};
  const std::string body = json::serialize(request);
  pull::Backoff backoff;
  while (true) {
    absl::StatusOr<Answer> answer = Try(body);
    if (interrupts_.signal() != 0) return absl::CancelledError("stopped");
    if (answer.ok()) return answer;
    if (auto s = backoff.OnFailure(answer.status(), retry_after(), absl::Now()); !s.ok()) return s;
    while (absl::Now() < backoff.next_try()) {
      if (interrupts_.signal() != 0) return absl::CancelledError("stopped");
      absl::SleepFor(kPoll);
    }
  }
}

absl::Duration Asker::retry_after() const {
  curl_off_t seconds = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &seconds);
  return absl::Seconds(seconds);
}

absl::StatusOr<Answer> Asker::Try(const std::string& body) {
  CURL* const c = curl_.get();
  char curl_error[CURL_ERROR_SIZE] = "";
  CurlHeaders headers;
  headers.Add("Content-Type: application/json");
  headers.Add("Expect:");
  if (!server_.api_key.empty()) headers.Add("Authorization: Bearer " + server_.api_key);
  Reception reception{.curl = c};
  curl_easy_setopt(c, CURLOPT_URL, (server_.url + "/v1/chat/completions").c_str());
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, curl_error);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_s_ * 1000));
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &reception);
  curl_easy_setopt(
      c, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t size, void* to) -> size_t {
        static_cast<Reception*>(to)->Take({data, size});
        return size;
      });
  curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c, CURLOPT_XFERINFODATA, &interrupts_);
  curl_easy_setopt(
      c, CURLOPT_XFERINFOFUNCTION,
      +[](void* interrupts, curl_off_t, curl_off_t, curl_off_t, curl_off_t) -> int {
        return static_cast<const cli::Interrupts*>(interrupts)->signal();
      });
  const auto began = std::chrono::steady_clock::now();
  const CURLcode code = curl_easy_perform(c);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, nullptr);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, nullptr);

  if (code != CURLE_OK) {
    return absl::UnavailableError(
        absl::StrCat(server_.url, ": ", *curl_error ? curl_error : curl_easy_strerror(code)));
  }
  if (const long status = reception.status(); status != 200) {
    const std::string message = absl::StrCat(server_.url, " answers HTTP ", status, ": ",
                                             bench::ErrorMessage(reception.refusal));
    return MayPass(status) ? absl::UnavailableError(message)
                           : absl::FailedPreconditionError(message);
  }
  if (!reception.reader.error().empty()) {
    return absl::UnavailableError(absl::StrCat("within an answer: ", reception.reader.error()));
  }
  if (!reception.reader.is_done()) return absl::UnavailableError("the answer ended early");
  Answer answer = std::move(reception.answer);
  answer.finish_reason = reception.reader.finish_reason();
  // Without the server's count, events are the nearest.
  const bench::Usage usage = reception.scanner.usage().value_or(
      bench::Usage{.prompt_tokens = 0, .completion_tokens = reception.scanner.num_text_events()});
  answer.num_prompt_tokens = usage.prompt_tokens;
  answer.num_tokens = usage.completion_tokens;
  answer.seconds = elapsed.count();
  return answer;
}

}  // namespace weft::eval
