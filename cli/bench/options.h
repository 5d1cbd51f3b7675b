// What `weft bench` is asked to do. Names and meanings are those of
// `vllm bench serve` where it has them, else of `weft simulate`.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace weft {
class Flags;
}

namespace weft::bench {

struct Options {
  std::string base_url = "http://127.0.0.1:8000";
  std::string ca_file;  // empty: the system's authorities
  std::string model;    // empty: the first of /v1/models
  std::string endpoint = "completions";
  std::string api_key;

  // When, and how many.
  int num_prompts = 0;  // 0: those of --trace or --dataset-path, else 1000
  int num_warmups = 0;
  std::string max_concurrency = "0";  // 0: unlimited; several: a run for each
  std::string request_rate = "inf";   // per second; 0 and inf: all at once; likewise
  double burstiness = 1;
  std::string trace;  // a file's name; empty: none

  // What they say.
  std::string random_input_len = "512";
  std::string random_output_len = "256";
  int prefix_len = 0;
  int num_prefixes = 1;
  std::string dataset_path;  // a file's name; empty: prompts are random
  int conversation_len = 0;  // 0: one turn each
  int vocab_size = 30'000;
  bool ignore_eos = true;
  double temperature = 0;
  std::string extra_body;  // a JSON object; empty: nothing
  uint64_t seed = 0;

  int threads = 0;        // 0: DefaultThreads()
  double timeout = 3600;  // seconds, for one request
  std::string slo;
  std::string metrics_url;      // separated by commas; empty: none
  std::string check_simulated;  // the model's folder; empty: answers are not judged
  std::string json;             // a file's name; empty: none
};

void AddBenchFlags(Flags& flags, Options& options);

// Flags that take each other's place.
absl::Status CheckTogether(int argc, const char* const* argv);
// What no single flag can judge.
absl::Status Validate(const Options& options);

// A server on the same machine needs cores too.
int DefaultThreads();

}  // namespace weft::bench
