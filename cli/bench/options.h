// What `weft bench` is asked to do. Names and meanings are those of
// `vllm bench serve` where it has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft {
class Flags;
}

namespace weft::bench {

struct Options {
  std::string base_url = "http://127.0.0.1:8000";
  std::string model;  // empty: the first of /v1/models
  std::string endpoint = "completions";
  std::string api_key;
  int num_prompts = 1000;
  int num_warmups = 0;
  int max_concurrency = 0;  // 0: unlimited
  double request_rate = 0;  // per second; 0 and infinity: all at once
  int random_input_len = 512;
  int random_output_len = 256;
  int vocab_size = 30'000;
  bool ignore_eos = true;
  double temperature = 0;
  std::string extra_body;  // a JSON object; empty: nothing
  uint64_t seed = 0;
  int threads = 0;        // 0: DefaultThreads()
  double timeout = 3600;  // seconds, for one request
  std::string goodput;
  std::string check_simulated;  // the model's folder; empty: answers are not judged
  std::string json;             // a file's name; empty: none
};

// Where requests go: "http://[::1]:8000/base" -> {"::1", "8000", "[::1]:8000", "/base"}.
struct Target {
  std::string host;
  std::string port;
  std::string authority;  // for the Host header
  std::string base;       // before /v1; empty or with a leading slash
};

// Upper bounds in milliseconds that a good request keeps.
struct Goodput {
  std::optional<double> ttft;
  std::optional<double> tpot;
  std::optional<double> itl;  // the mean of the request's gaps
  std::optional<double> e2el;
};

void AddBenchFlags(Flags& flags, Options& options);

// A trailing /v1 is left out: clients disagree on whether it belongs to the base.
absl::StatusOr<Target> ParseUrl(const std::string& url);
// "ttft:200,itl:25", or "ttft=200ms,itl=25ms"; empty is no bound at all. `flag` is the
// one that had it, for errors.
absl::StatusOr<Goodput> ParseGoodput(const std::string& text,
                                     const std::string& flag = "--goodput");
// What no single flag can judge.
absl::Status Validate(const Options& options);

// A server on the same machine needs cores too.
int DefaultThreads();

}  // namespace weft::bench
