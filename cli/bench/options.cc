#include "cli/bench/options.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/bench/said_flags.h"
#include "common/flags.h"

namespace weft::bench {

void AddBenchFlags(Flags& flags, Options& options) {
  flags.Add("--base-url", options.base_url, "The server, as http://host:8000 or https://host");
  flags.Add("--ca-file", options.ca_file,
            "PEM file of the authorities to trust with https (default: SSL_CERT_FILE's, else the "
            "system's)");
  flags.Add("--model", options.model, "Model to ask for (default: the first of /v1/models)");
  flags.AddChoice(
      "--endpoint", options.endpoint, {"completions", "chat"},
      "completions: prompts are token ids, of exact length; chat: words, of about that");
  flags.Add("--api-key", options.api_key,
            "Sent as a bearer token (default: OPENAI_API_KEY, too, has it)");

  flags.Add("--num-prompts", options.num_prompts,
            "Requests of each run; 0: those of --trace or --dataset-path, else 1000", 0,
            10'000'000);
  flags.Add("--num-warmups", options.num_warmups, "Requests before, which do not count", 0,
            1'000'000);
  flags.Add("--max-concurrency", options.max_concurrency,
            "Requests at one time; 0: no limit; several, as 1,8,64: a run for each");
  flags.Add("--request-rate", options.request_rate,
            "Arrivals per second, whether answers come or not; 0 or inf: all at once; several, as "
            "2,4,8: a run for each");
  flags.Add("--burstiness", options.burstiness,
            "Shape of the gaps, gamma: 1 is a Poisson process, less comes in bursts, more evenly",
            0.01, 1000.0);
  flags.Add("--trace", options.trace,
            "Recorded traffic, instead of drawn: JSON lines such as {\"at\": 0.5, \"input\": 812, "
            "\"output\": 240}, as of weft simulate");

  flags.Add(
      "--random-input-len", options.random_input_len,
      "Tokens of each prompt: 512, uniform:100-2000, or lognormal:512,0.8 (median and sigma)");
  flags.Add("--random-output-len", options.random_output_len,
            "Tokens of each answer (max_tokens); likewise");
  flags.Add("--prefix-len", options.prefix_len,
            "Tokens before each prompt that it shares with others: a system prompt", 0, 1 << 20);
  flags.Add("--num-prefixes", options.num_prefixes, "Different ones of them, equally often", 1,
            1'000'000);
  flags.Add(
      "--dataset-path", options.dataset_path,
      "Prompts from a file instead of random ones: JSON lines with prompt, question, problem, "
      "messages or (ShareGPT's) conversations; output_tokens, too, where a line has it");
  flags.Add("--conversation-len", options.conversation_len,
            "Each request begins a conversation, which goes on with the answers in it as long as "
            "the next turn ends within so many tokens; 0: one turn each",
            0, 1 << 20);
  flags.Add("--vocab-size", options.vocab_size,
            "Prompts draw token ids below this, and above a first 1000 that may be special", 2,
            1 << 24);
  flags.AddSwitch("--ignore-eos", options.ignore_eos,
                  "Answers go on to their full length (an extension of vLLM's; default: true)");
  flags.Add("--temperature", options.temperature, "0: greedy", 0.0, 2.0);
  flags.Add("--extra-body", options.extra_body,
            "JSON object of further fields of each request, such as "
            R"({"response_format": {"type": "json_object"}})");
  flags.Add("--seed", options.seed,
            "Of prompts, lengths and arrivals: the same seed, the same load");

  flags.Add("--threads", options.threads, "Of the load generator; 0: half the cores, at most 8", 0,
            1024);
  flags.Add("--timeout", options.timeout, "Seconds after which a request has failed", 0.001, 1e9);
  flags.Add("--slo", options.slo,
            "Bounds that a good request keeps, as ttft=200ms,itl=25ms; of ttft, tpot, itl (the "
            "mean gap), e2el");
  flags.Add("--metrics-url", options.metrics_url,
            "Prometheus texts to sample beside the load, as http://host:9100/metrics; several "
            "with commas");
  flags.Add("--check-simulated", options.check_simulated,
            "The folder of a model that a simulated worker serves: each answer must be, token by "
            "token, what that worker says");
  flags.Add("--json", options.json, "File that gets the results, in vLLM's names");
}

absl::Status CheckTogether(int argc, const char* const* argv) {
  const SaidFlags said(argc, argv);
  absl::Status together =
      said.Exclude("--trace",
                   {"--num-prompts", "--request-rate", "--burstiness", "--random-input-len",
                    "--random-output-len", "--num-prefixes", "--dataset-path"},
                   "whose requests are what they are");
  together.Update(said.Exclude(
      "--dataset-path", {"--random-input-len", "--prefix-len", "--num-prefixes", "--vocab-size"},
      "whose prompts are what they are"));
  return together;
}

absl::Status Validate(const Options& options) {
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
  if (options.conversation_len > 0 && options.endpoint != "chat") {
    return absl::InvalidArgumentError(
        "--conversation-len: only a chat has turns; it needs --endpoint chat");
  }
  if (options.conversation_len > 0 && !options.dataset_path.empty()) {
    return absl::InvalidArgumentError(
        "--conversation-len draws what is said in each turn; --dataset-path says it; give one");
  }
  return absl::OkStatus();
}

int DefaultThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 8);
}

}  // namespace weft::bench
