#include "cli/bench/bench.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/bench/answer_check.h"
#include "cli/bench/load.h"
#include "cli/bench/options.h"
#include "cli/bench/report.h"
#include "cli/bench/server.h"
#include "cli/bench/statistics.h"
#include "cli/bench/workload.h"
#include "common/descriptor_limit.h"
#include "common/flags.h"

namespace weft::bench {
namespace {

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft bench: " << status.message() << '\n';
  return exit_code;
}

// One line that is written over, on a terminal only.
class Progress {
 public:
  explicit Progress(int num_requests) : num_requests_(num_requests) {}
  ~Progress() {
    if (is_terminal_) std::cerr << "\r\033[K";
  }
  void Show(int num_ended, int num_open) const {
    if (!is_terminal_) return;
    std::cerr << absl::StrFormat("\r%d of %d requests over, %d open\033[K", num_ended,
                                 num_requests_, num_open);
  }

 private:
  const int num_requests_;
  const bool is_terminal_ = isatty(STDERR_FILENO) == 1;
};

// Connections and caches warm; what it measures is thrown away.
absl::Status WarmUp(const Options& options, LoadPlan plan, const Workload& workload) {
  if (options.num_warmups == 0) return absl::OkStatus();
  plan.arrivals = Arrivals(options.num_warmups, 0, 0);
  plan.write_request = [&](int index, std::string& out) {
    workload.WriteRequest(-1 - int64_t{index}, out);
  };
  const LoadOutcome outcome = RunLoad(plan);
  if (outcome.measured.errors.empty()) return absl::OkStatus();
  const auto& [kind, error] = *outcome.measured.errors.begin();
  return absl::UnavailableError(absl::StrCat("warming up failed: ", kind, ": ", error.example));
}

}  // namespace

int Bench(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft bench",
              "Loads an OpenAI-compatible server with random prompts and streamed answers, and "
              "reports throughput and latencies. Flags and figures as of `vllm bench serve`.");
  AddBenchFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  const char* openai_key = std::getenv("OPENAI_API_KEY");
  if (options.api_key.empty() && openai_key != nullptr) options.api_key = openai_key;
  if (absl::Status status = Validate(options); !status.ok()) {
    Fail(status, 2);
    std::cerr << "See --help.\n";
    return 2;
  }
  const Target target = ParseUrl(options.base_url).value();
  const Goodput goodput = ParseGoodput(options.goodput).value();
  if (options.threads == 0) options.threads = DefaultThreads();
  if (!options.json.empty()) {  // told before the load rather than after
    if (absl::Status status = WriteFile("--json", options.json, ""); !status.ok())
      return Fail(status, 2);
  }
  RaiseDescriptorLimit();

  const auto endpoint = Reach(target);
  if (!endpoint.ok()) return Fail(endpoint.status(), 1);
  if (options.model.empty()) {
    absl::StatusOr<std::string> model = FirstModel(*endpoint, target, options.api_key);
    if (!model.ok()) return Fail(model.status(), 1);
    options.model = *std::move(model);
  }

  std::shared_ptr<const AnswerCheck> check;
  if (!options.check_simulated.empty()) {
    auto loaded = AnswerCheck::Load(options.check_simulated, options.random_output_len);
    if (!loaded.ok()) return Fail(loaded.status(), 2);
    check = *std::move(loaded);
  }
  const Workload workload(options, target, options.model);
  const Progress progress(options.num_prompts);
  LoadPlan plan{.endpoint = *endpoint,
                .max_concurrency = options.max_concurrency,
                .num_threads = options.threads,
                .timeout_s = options.timeout};
  if (absl::Status status = WarmUp(options, plan, workload); !status.ok()) return Fail(status, 1);
  plan.arrivals = Arrivals(options.num_prompts, options.request_rate, options.seed);
  plan.write_request = [&](int index, std::string& out) { workload.WriteRequest(index, out); };
  if (check != nullptr) {
    plan.check = [&](int index, std::string_view text, int64_t num_tokens) {
      return check->Check(index, text, num_tokens);
    };
  }
  plan.on_progress = [&](int num_ended, int num_open) { progress.Show(num_ended, num_open); };
  const LoadOutcome outcome = RunLoad(plan);

  const Results results = Summarize(outcome.measured, outcome.duration_s, goodput);
  const Report report{.options = options, .outcome = outcome, .results = results};
  std::cerr.flush();
  std::cout << Table(report) << std::flush;
  if (!options.json.empty()) {
    if (absl::Status status = WriteFile("--json", options.json, Json(report)); !status.ok()) {
      return Fail(status, 1);
    }
  }
  return results.num_failed == 0 ? 0 : 1;
}

}  // namespace weft::bench
