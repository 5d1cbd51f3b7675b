#include "cli/bench/options.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>
#include <limits>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/flags.h"

namespace weft::bench {
namespace {

absl::Status BadUrl(const std::string& url, const char* cause) {
  return absl::InvalidArgumentError(
      absl::StrCat("--base-url ", url, ": ", cause, "; it looks like http://127.0.0.1:8000"));
}

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

}  // namespace

void AddBenchFlags(Flags& flags, Options& options) {
  flags.Add("--base-url", options.base_url, "The server; plain HTTP");
  flags.Add("--model", options.model, "Model to ask for (default: the first of /v1/models)");
  flags.AddChoice(
      "--endpoint", options.endpoint, {"completions", "chat"},
      "completions: prompts are token ids, of exact length; chat: words, of about that");
  flags.Add("--api-key", options.api_key,
            "Sent as a bearer token (default: OPENAI_API_KEY, too, has it)");
  flags.Add("--num-prompts", options.num_prompts, "Requests", 1, 100'000'000);
  flags.Add("--num-warmups", options.num_warmups, "Requests before, which do not count", 0,
            1'000'000);
  flags.Add("--max-concurrency", options.max_concurrency, "Requests at one time; 0: no limit", 0,
            1'000'000);
  flags.Add("--request-rate", options.request_rate,
            "Arrivals per second, a Poisson process; 0 or inf: all at once", 0.0,
            std::numeric_limits<double>::infinity());
  flags.Add("--random-input-len", options.random_input_len, "Tokens of each prompt", 1, 1 << 24);
  flags.Add("--random-output-len", options.random_output_len, "Tokens of each answer (max_tokens)",
            1, 1 << 24);
  flags.Add("--vocab-size", options.vocab_size,
            "Prompts draw token ids below this, and above a first 1000 that may be special", 2,
            1 << 24);
  flags.AddSwitch("--ignore-eos", options.ignore_eos,
                  "Answers go on to their full length (an extension of vLLM's; default: true)");
  flags.Add("--temperature", options.temperature, "0: greedy", 0.0, 2.0);
  flags.Add("--extra-body", options.extra_body,
            "JSON object of further fields of each request, such as "
            R"({"response_format": {"type": "json_object"}})");
  flags.Add("--seed", options.seed, "Of prompts and arrivals: the same seed, the same load");
  flags.Add("--threads", options.threads, "Of the load generator; 0: half the cores, at most 8", 0,
            1024);
  flags.Add("--timeout", options.timeout, "Seconds after which a request has failed", 0.001, 1e9);
  flags.Add("--goodput", options.goodput,
            "Bounds in ms that a good request keeps, as ttft:200,itl:25; of ttft, tpot, itl (the "
            "mean gap), e2el");
  flags.Add("--check-simulated", options.check_simulated,
            "The folder of a model that a simulated worker serves: each answer must be, token by "
            "token, what that worker says");
  flags.Add("--json", options.json, "File that gets the results, in vLLM's names");
}

absl::StatusOr<Target> ParseUrl(const std::string& url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) return BadUrl(url, "it has no scheme");
  const std::string scheme = absl::AsciiStrToLower(url.substr(0, scheme_end));
  if (scheme == "https") {
    return BadUrl(url, "https is not supported, only plain HTTP");
  }
  if (scheme != "http") return BadUrl(url, "its scheme is not http");
  std::string_view rest = std::string_view(url).substr(scheme_end + 3);
  if (rest.find_first_of("?#@ \t\r\n") != std::string_view::npos) {
    return BadUrl(url, "it may hold host, port and path only");
  }

  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  std::string_view base = rest.substr(slash);
  while (base.ends_with("/")) base.remove_suffix(1);
  if (base.ends_with("/v1")) base.remove_suffix(3);

  std::string_view host = authority;
  std::string_view port = "80";
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (!IsPort(port)) return BadUrl(url, "its port is not a number from 1 to 65535");
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]:") != std::string_view::npos) {
    return BadUrl(url, "an IPv6 address stands in brackets");
  }
  if (host.empty()) return BadUrl(url, "it has no host");
  return Target{.host = std::string(host),
                .port = std::string(port),
                .authority = std::string(authority),
                .base = std::string(base)};
}

absl::StatusOr<Goodput> ParseGoodput(const std::string& text, const std::string& flag) {
  Goodput goodput;
  const std::vector<std::string> parts =
      absl::StrSplit(text, absl::ByAnyChar(", "), absl::SkipEmpty());
  for (const std::string& part : parts) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(part, absl::MaxSplits(absl::ByAnyChar(":="), 1));
    std::optional<double>* bound = pair.first == "ttft"   ? &goodput.ttft
                                   : pair.first == "tpot" ? &goodput.tpot
                                   : pair.first == "itl"  ? &goodput.itl
                                   : pair.first == "e2el" ? &goodput.e2el
                                                          : nullptr;
    double ms = 0;
    if (bound == nullptr || !absl::SimpleAtod(absl::StripSuffix(pair.second, "ms"), &ms) ||
        !(ms >= 0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          flag, " ", text, ": ", part,
          " is none of ttft:MS, tpot:MS, itl:MS, e2el:MS, with MS milliseconds from 0"));
    }
    *bound = ms;
  }
  return goodput;
}

absl::Status Validate(const Options& options) {
  if (absl::StatusOr<Target> target = ParseUrl(options.base_url); !target.ok()) {
    return target.status();
  }
  if (absl::StatusOr<Goodput> goodput = ParseGoodput(options.goodput); !goodput.ok()) {
    return goodput.status();
  }
  if (std::any_of(options.api_key.begin(), options.api_key.end(),
                  [](unsigned char c) { return c <= ' ' || c > '~'; })) {
    return absl::InvalidArgumentError("--api-key holds what no header may hold");
  }
  boost::system::error_code error;
  if (!options.extra_body.empty() && !boost::json::parse(options.extra_body, error).is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--extra-body ", options.extra_body, ": no JSON object"));
  }
  if (!options.check_simulated.empty() &&
      (options.endpoint != "completions" || !options.ignore_eos)) {
    return absl::InvalidArgumentError(
        "--check-simulated knows whole answers of completions: it needs --endpoint completions "
        "and --ignore-eos");
  }
  return absl::OkStatus();
}

int DefaultThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 8);
}

}  // namespace weft::bench
