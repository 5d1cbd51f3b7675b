#include "cli/eval/eval.h"

#include <openssl/sha.h>

#include <boost/json.hpp>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/eval/datasets.h"
#include "cli/eval/run_progress.h"
#include "cli/eval/runner.h"
#include "cli/eval/summary.h"
#include "cli/eval/transcript_log.h"
#include "common/flags.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

// What the prompt says holds: of counts, and of temperature and top_p, for which 0 has a meaning.
constexpr int kAsPrompt = 0;
constexpr double kUnset = -1;

struct Options {
  chat::Server server;
  std::string model;  // empty: the server's only one
  std::string dataset = "weft";
  std::string prompt = "auto";
  std::string output = "weft-eval";
  int limit = 0;  // 0: every problem
  int num_seeds = kAsPrompt;
  int max_tokens = kAsPrompt;
  double temperature = kUnset;
  double top_p = kUnset;
  int concurrency = 16;
  double timeout_s = 3600;
};

void AddFlags(Flags& flags, Options& options) {
  std::vector<std::string> sets, prompts = {"auto"}, about;
  for (const PublicDataset& dataset : PublicDatasets()) sets.push_back(dataset.name);
  for (const Prompt& prompt : Prompts()) {
    prompts.push_back(prompt.name);
    about.push_back(absl::StrCat(prompt.name, ": ", prompt.about));
  }
  flags.Add("--url", options.server.url, "The server, http:// or https://");
  flags.Add("--model", options.model, "Model to ask (default: the server's only one)");
  flags.Add("--api-key", options.server.api_key,
            "Sent as a bearer token (default: OPENAI_API_KEY, too, has it)");
  flags.Add("--ca-file", options.server.ca_file,
            "PEM file of authorities to trust (default: SSL_CERT_FILE's, else the system's)");
  flags.Add("--dataset", options.dataset,
            absl::StrCat("weft (200 problems that ship with it), ", absl::StrJoin(sets, ", "),
                         " (each fetched once), or a file of JSON lines"));
  flags.AddChoice(
      "--prompt", options.prompt, prompts,
      absl::StrCat("How to ask; auto: by the model's name. ", absl::StrJoin(about, "; ")));
  flags.Add("--limit", options.limit, "The first so many problems; 0: all", 0, 100'000'000);
  flags.Add("--seeds", options.num_seeds, "Answers to each problem; 0: as the prompt has it", 0,
            10'000);
  flags.Add("--max-tokens", options.max_tokens,
            "Tokens of an answer, reasoning included; 0: as the prompt has it", 0, 1 << 24);
  flags.Add("--temperature", options.temperature, "0: greedy; -1: as the prompt has it", -1.0, 2.0);
  flags.Add("--top-p", options.top_p, "-1: as the prompt has it", -1.0, 1.0);
  flags.Add("--concurrency", options.concurrency, "Requests at one time", 1, 4096);
  flags.Add("--timeout", options.timeout_s, "Seconds after which a request has failed", 0.001, 1e6);
  flags.Add("--output", options.output,
            "Folder of transcripts and summary; one that holds a part of the same run is gone on "
            "with");
}

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft eval: " << status.message() << '\n';
  return exit_code;
}

absl::Status Validate(Options& options) {
  absl::StatusOr<chat::Server> server = chat::Complete(options.server);
  if (!server.ok()) return server.status();
  options.server = *std::move(server);
  if (options.top_p == 0 || (options.top_p < 0 && options.top_p != kUnset)) {
    return absl::InvalidArgumentError("--top-p is above 0 and at most 1, or -1");
  }
  if (options.temperature < 0 && options.temperature != kUnset) {
    return absl::InvalidArgumentError("--temperature is from 0 to 2, or -1");
  }
  return absl::OkStatus();
}

Prompt ChoosePrompt(const Options& options, const std::string& model) {
  Prompt prompt = options.prompt == "auto" ? PromptForModel(model) : *FindPrompt(options.prompt);
  if (options.num_seeds != kAsPrompt) prompt.num_seeds = options.num_seeds;
  if (options.max_tokens != kAsPrompt) prompt.max_tokens = options.max_tokens;
  if (options.temperature != kUnset) prompt.temperature = options.temperature;
  if (options.top_p != kUnset) prompt.top_p = options.top_p;
  return prompt;
}

// What is asked, in one number.
std::string Fingerprint(const std::vector<Problem>& problems) {
  json::array rows;
  for (const Problem& problem : problems) {
    rows.push_back(json::array{problem.id, problem.question, problem.answer});
  }
  const std::string text = json::serialize(rows);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

// What makes two runs the same. The server may move.
json::object Settings(const RunOptions& run, const Dataset& dataset) {
  return {{"model", run.model},
          {"dataset", dataset.name},
          {"problems", dataset.problems.size()},
          {"problems_sha256", Fingerprint(dataset.problems)},
          {"prompt", run.prompt.name},
          {"temperature", run.prompt.temperature},
          {"top_p", run.prompt.top_p},
          {"max_tokens", run.prompt.max_tokens},
          {"seeds", run.prompt.num_seeds}};
}

// summary.json, transcripts.html and the table.
absl::Status Report(const Options& options, const RunOptions& run, const Dataset& dataset,
                    const std::vector<Transcript>& transcripts) {
  const Summary summary = Summarize(transcripts);
  json::object object = ToJson(summary);
  object["model"] = run.model;
  object["dataset"] = dataset.name;
  object["prompt"] = run.prompt.name;
  if (auto s = WriteFile(options.output + "/summary.json", json::serialize(object) + "\n");
      !s.ok()) {
    return s;
  }
  if (auto s = WriteFile(options.output + "/transcripts.html", Page(object, transcripts));
      !s.ok()) {
    return s;
  }
  std::cout << run.model << " on " << dataset.name << ", prompt " << run.prompt.name << '\n'
            << Table(summary) << "Every answer: " << options.output << "/transcripts.html"
            << std::endl;
  return absl::OkStatus();
}

absl::StatusOr<int> Evaluate(const Options& options, const cli::Interrupts& interrupts) {
  absl::StatusOr<Dataset> dataset =
      LoadDataset(options.dataset, options.server.ca_file, interrupts);
  if (!dataset.ok()) return dataset.status();
  if (options.limit > 0 && static_cast<size_t>(options.limit) < dataset->problems.size()) {
    dataset->problems.resize(static_cast<size_t>(options.limit));
  }
  std::string model_name = options.model;
  if (model_name.empty()) {
    absl::StatusOr<std::string> model = chat::Client(options.server, interrupts).OnlyModel();
    if (!model.ok()) return model.status();
    model_name = *std::move(model);
  }
  const RunOptions run = {.server = options.server,
                          .model = model_name,
                          .prompt = ChoosePrompt(options, model_name),
                          .concurrency = options.concurrency,
                          .timeout_s = options.timeout_s};
  absl::StatusOr<TranscriptLog> log = TranscriptLog::Open(options.output, Settings(run, *dataset));
  if (!log.ok()) return log.status();

  std::set<Task> done;
  RunResult result;
  {
    RunProgress progress(static_cast<int64_t>(dataset->problems.size()) * run.prompt.num_seeds);
    for (const Transcript& transcript : log->transcripts()) {
      done.insert({transcript.id, transcript.seed});
      progress.CountEarlier(transcript);
    }
    if (!done.empty()) {
      std::cerr << "weft eval: " << done.size() << " answers are there; going on\n";
    }
    result = Run(dataset->problems, done, run, interrupts, [&](const Transcript& transcript) {
      progress.Count(transcript);
      return log->Append(transcript);
    });
  }
  if (!result.status.ok()) return result.status;
  if (auto s = Report(options, run, *dataset, log->transcripts()); !s.ok()) return s;
  if (result.num_failed == 0) return 0;
  std::cerr << "weft eval: " << result.num_failed << " requests failed, such as: " << result.failure
            << "; the same command tries them again\n";
  return 1;
}

}  // namespace

int Eval(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft eval",
              "Asks a server with OpenAI's API the problems of a data set, and says how often the "
              "answers are right.");
  AddFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  if (absl::Status status = Validate(options); !status.ok()) {
    Fail(status, 2);
    std::cerr << "See --help.\n";
    return 2;
  }
  const cli::Interrupts interrupts;
  const absl::StatusOr<int> exit_code = Evaluate(options, interrupts);
  if (absl::IsCancelled(exit_code.status())) {
    return Fail(absl::CancelledError("stopped; the same command goes on from here"),
                128 + interrupts.signal());
  }
  return exit_code.ok() ? *exit_code : Fail(exit_code.status(), 1);
}

}  // namespace weft::eval
