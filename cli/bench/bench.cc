#include "cli/bench/bench.h"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/bench/accounting.h"
#include "cli/bench/answer_check.h"
#include "cli/bench/connection.h"
#include "cli/bench/load.h"
#include "cli/bench/metrics_sampler.h"
#include "cli/bench/options.h"
#include "cli/bench/progress.h"
#include "cli/bench/report.h"
#include "cli/bench/scenario.h"
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

// What every run has in common.
struct Setting {
  const Options& options;  // with the model's name
  const Scenario& scenario;
  boost::asio::ip::tcp::endpoint endpoint;
  std::shared_ptr<TlsClient> tls;
  std::shared_ptr<const AnswerCheck> check;

  Workload MakeWorkload(const RunPoint& run) const {
    return Workload(options, scenario.target, options.model, scenario.dataset,
                    scenario.Requests(run));
  }
  LoadPlan Plan(const Workload& workload, const RunPoint& run) const {
    return {.endpoint = endpoint,
            .tls = tls.get(),
            .workload = workload,
            .max_concurrency = run.max_concurrency,
            .num_threads = options.threads,
            .timeout_s = options.timeout};
  }
};

// Connections and caches warm; what it measures is thrown away.
absl::Status WarmUp(const Setting& setting) {
  const int num_warmups = setting.options.num_warmups;
  if (num_warmups == 0) return absl::OkStatus();
  const RunPoint& run = setting.scenario.runs.front();
  const Workload workload = setting.MakeWorkload(run);
  LoadPlan plan = setting.Plan(workload, run);
  plan.arrivals.resize(static_cast<size_t>(num_warmups));
  plan.first_index = -num_warmups;
  const LoadOutcome outcome = RunLoad(plan);
  if (outcome.measured.errors.empty()) return absl::OkStatus();
  const auto& [kind, error] = *outcome.measured.errors.begin();
  return absl::UnavailableError(absl::StrCat("warming up failed: ", kind, ": ", error.example));
}

// The `number`th of the sweep.
RunReport Run(const Setting& setting, size_t number) {
  const std::vector<RunPoint>& runs = setting.scenario.runs;
  const RunPoint& run = runs[number];
  const Workload workload = setting.MakeWorkload(run);
  LoadPlan plan = setting.Plan(workload, run);
  for (const sim::Arrival& request : workload.requests()) {
    plan.arrivals.push_back(1e-6 * static_cast<double>(request.at));
  }
  plan.has_schedule = setting.scenario.HasSchedule(run);
  // No run says what another has said: the server may still know that.
  plan.first_index = static_cast<int64_t>(number * plan.arrivals.size());
  plan.check = setting.check.get();
  RunReport report{.run = run,
                   .has_schedule = plan.has_schedule,
                   .num_prompts = static_cast<int>(plan.arrivals.size())};

  Progress progress(runs.size() > 1 ? NameOf(run) : "", report.num_prompts);
  plan.on_progress = [&](const LoadProgress& now) { progress.Show(now); };
  MetricsSampler sampler(setting.scenario.metrics_urls, {.ca_file = setting.options.ca_file});
  report.outcome = RunLoad(plan);
  report.metrics = sampler.Stop();

  Measurements& measured = report.outcome.measured;
  report.results = Summarize(measured, report.outcome.duration_s, setting.scenario.slo);
  report.account = Account(measured.requests);
  // A sweep keeps what these came to.
  measured.requests = {};
  measured.itl_ms = {};
  return report;
}

}  // namespace

int Bench(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft bench",
              "Loads an OpenAI-compatible server with streamed requests and reports throughput "
              "and latencies. Flags and figures as of `vllm bench serve`.");
  AddBenchFlags(flags, options);
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  const char* openai_key = std::getenv("OPENAI_API_KEY");
  if (options.api_key.empty() && openai_key != nullptr) options.api_key = openai_key;
  absl::Status valid = CheckTogether(argc, argv);
  valid.Update(Validate(options));
  if (!valid.ok()) {
    Fail(valid, 2);
    std::cerr << "See --help.\n";
    return 2;
  }
  const auto scenario = MakeScenario(options);
  if (!scenario.ok()) return Fail(scenario.status(), 2);
  if (options.threads == 0) options.threads = DefaultThreads();
  if (!options.json.empty()) {  // told before the load rather than after
    if (absl::Status status = WriteFile("--json", options.json, ""); !status.ok())
      return Fail(status, 2);
  }
  RaiseDescriptorLimit();

  Setting setting{.options = options, .scenario = *scenario};
  if (scenario->target.is_tls) {
    auto tls = NewTlsClient(options.ca_file, scenario->target.host);
    if (!tls.ok()) return Fail(tls.status(), 2);
    setting.tls = *std::move(tls);
  }
  if (!options.check_simulated.empty()) {
    auto check = AnswerCheck::Load(options.check_simulated);
    if (!check.ok()) return Fail(check.status(), 2);
    setting.check = *std::move(check);
  }
  const auto endpoint = Reach(scenario->target);
  if (!endpoint.ok()) return Fail(endpoint.status(), 1);
  setting.endpoint = *endpoint;
  if (options.model.empty()) {
    auto model =
        FirstModel(scenario->target, {.ca_file = options.ca_file, .api_key = options.api_key});
    if (!model.ok()) return Fail(model.status(), 1);
    options.model = *std::move(model);
  }
  if (absl::Status status = WarmUp(setting); !status.ok()) return Fail(status, 1);

  std::vector<RunReport> reports;
  int64_t num_failed = 0;
  for (size_t i = 0; i < scenario->runs.size(); ++i) {
    reports.push_back(Run(setting, i));
    num_failed += reports.back().results.num_failed;
    std::cout << Table(options, reports.back()) << std::flush;
  }
  if (reports.size() > 1) std::cout << '\n' << SweepTable(options, reports) << std::flush;
  if (!options.json.empty()) {
    if (absl::Status status = WriteFile("--json", options.json, Json(options, reports));
        !status.ok()) {
      return Fail(status, 1);
    }
  }
  return num_failed == 0 ? 0 : 1;
}

}  // namespace weft::bench
