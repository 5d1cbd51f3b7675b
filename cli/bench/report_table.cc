#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/bench/report.h"
#include "cli/bench/server_metrics.h"

namespace weft::bench {
namespace {

constexpr size_t kWidth = 50;

// A thread of the generator that computes longer than this may delay what it measures.
constexpr double kBusy = 0.9;
// A generator that is later than this is worth a second set of figures.
constexpr double kLateMs = 1;

std::string Rule(char c, const std::string& title) {
  const size_t left = (kWidth - title.size()) / 2;
  return absl::StrCat(std::string(left, c), title, std::string(kWidth - left - title.size(), c),
                      "\n");
}

void Row(std::string& out, const std::string& label, int64_t value) {
  absl::StrAppendFormat(&out, "%-40s %-9d\n", label + ":", value);
}
void Row(std::string& out, const std::string& label, double value) {
  absl::StrAppendFormat(&out, "%-40s %-9.2f\n", label + ":", value);
}

void Rows(std::string& out, const std::string& title, const std::string& name,
          const Summary& summary) {
  out += Rule('-', title);
  Row(out, absl::StrCat("Mean ", name, " (ms)"), summary.mean);
  Row(out, absl::StrCat("Median ", name, " (ms)"), summary.p50);
  Row(out, absl::StrCat("P90 ", name, " (ms)"), summary.p90);
  Row(out, absl::StrCat("P99 ", name, " (ms)"), summary.p99);
}

void AddThroughput(std::string& out, const Options& options, const RunReport& report) {
  const Results& results = report.results;
  Row(out, "Successful requests", results.num_succeeded);
  Row(out, "Failed requests", results.num_failed);
  if (report.run.max_concurrency > 0) {
    Row(out, "Maximum request concurrency", int64_t{report.run.max_concurrency});
  }
  if (report.run.request_rate > 0) {
    Row(out, "Request rate configured (req/s)", report.run.request_rate);
  }
  Row(out, "Benchmark duration (s)", results.duration_s);
  Row(out, "Total input tokens", results.num_prompt_tokens);
  Row(out, "Total generated tokens", results.num_output_tokens);
  Row(out, "Request throughput (req/s)", results.PerSecond(results.num_succeeded));
  if (!options.slo.empty()) {
    Row(out, "Request goodput (req/s)", results.PerSecond(results.num_good));
  }
  Row(out, "Input token throughput (tok/s)", results.PerSecond(results.num_prompt_tokens));
  Row(out, "Output token throughput (tok/s)", results.PerSecond(results.num_output_tokens));
  Row(out, "Total token throughput (tok/s)",
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens));
  Row(out, "Peak concurrent requests", int64_t{report.outcome.peak_concurrency});
}

void AddLatencies(std::string& out, const RunReport& report) {
  const Results& results = report.results;
  Rows(out, "Time to First Token", "TTFT", results.ttft_ms);
  Rows(out, "Time per Output Token (excl. 1st token)", "TPOT", results.tpot_ms);
  Rows(out, "Inter-token Latency", "ITL", results.itl_ms);
  Rows(out, "End-to-end Latency", "E2EL", results.e2e_ms);
  if (!report.has_schedule) return;
  out += "TTFT and E2EL count from each request's arrival by\nthe schedule, sent or not.\n";
  if (results.late_ms.max < kLateMs) return;
  Rows(out, "From arrival to sending", "lateness", results.late_ms);
  Rows(out, "TTFT, from sending", "TTFT", results.ttft_from_sending_ms);
  Rows(out, "E2EL, from sending", "E2EL", results.e2e_from_sending_ms);
}

void AddServer(std::string& out, const MetricSamples& samples) {
  out += Rule('-', "Server (min, mean, max)");
  for (size_t i = 0; i < ServerMetrics().size(); ++i) {
    const ServerMetric& metric = ServerMetrics()[i];
    const std::optional<SampleSummary> summary = SummarizeSamples(samples, i);
    if (!summary) continue;
    if (metric.kind == ServerMetric::Kind::kCounter) {
      Row(out, metric.title, summary->increase);
    } else {
      absl::StrAppendFormat(&out, "%-25s %7.1f %8.1f %8.1f\n", absl::StrCat(metric.title, ":"),
                            summary->min, summary->mean, summary->max);
    }
  }
}

// What is out of the ordinary, in sentences.
void AddRemarks(std::string& out, const RunReport& report) {
  const auto say = [&](int64_t count, const std::string& what) {
    if (count > 0) absl::StrAppend(&out, count, " ", what, "\n");
  };
  const TokenAccount& account = report.account;
  say(account.num_without_usage,
      "answers came without usage: their prompts count as 0 tokens, each of their events as 1.");
  say(account.num_fewer_events,
      "answers had fewer events with text than tokens: an ITL of theirs may span several.");
  say(account.num_more_events, "answers had more events with text than usage says tokens.");
  say(account.num_shorter, "answers were shorter than asked for.");
  say(account.num_longer, "answers were longer than asked for.");
  say(account.num_other_prompts,
      "prompts had, says usage, another number of tokens than ids sent.");
  if (report.metrics.num_failed > 0) {
    absl::StrAppend(&out, report.metrics.num_failed,
                    " samples of server metrics failed, such as: ", report.metrics.error, "\n");
  }
  if (report.outcome.busiest_thread_cpu_s > kBusy * report.results.duration_s) {
    out +=
        "A thread of the load generator was busy all the time: it may be what these figures "
        "measure. --threads gives it more.\n";
  }
  for (const auto& [kind, error] : report.outcome.measured.errors) {
    const Summary after = Summarize(error.after_ms);
    absl::StrAppendFormat(&out,
                          "Failed, %s: %d, after %.2f ms (median), %.2f ms (P99), such as: %s\n",
                          kind, error.count(), after.p50, after.p99, error.example);
  }
}

}  // namespace

std::string NameOf(const RunPoint& run) {
  std::vector<std::string> parts;
  if (run.request_rate > 0) parts.push_back(absl::StrCat("rate ", run.request_rate));
  if (run.max_concurrency > 0) parts.push_back(absl::StrCat("concurrency ", run.max_concurrency));
  return parts.empty() ? "all at once" : absl::StrJoin(parts, ", ");
}

std::string Table(const Options& options, const RunReport& report) {
  std::string out = Rule('=', " Serving Benchmark Result ");
  AddThroughput(out, options, report);
  if (report.results.num_succeeded > 0) AddLatencies(out, report);
  if (!options.metrics_url.empty()) AddServer(out, report.metrics);
  out += Rule('-', "Load generator");
  Row(out, "CPU (cores)", report.outcome.cpu_s / report.results.duration_s);
  Row(out, "Busiest thread (%)",
      100 * report.outcome.busiest_thread_cpu_s / report.results.duration_s);
  out += Rule('=', "");
  AddRemarks(out, report);
  return out;
}

std::string SweepTable(const Options& options, const std::vector<RunReport>& reports) {
  std::string out = absl::StrFormat(
      "%-24s %8s %8s %9s %16s %16s %9s %7s\n%-24s %8s %8s %9s %8s %7s %8s %7s %9s %7s\n", "",
      "req/s", "goodput", "out tok/s", "TTFT (ms)", "ITL (ms)", "E2EL (ms)", "failed", "", "", "",
      "", "p50", "p99", "p50", "p99", "p99", "");
  for (const RunReport& report : reports) {
    const Results& results = report.results;
    const std::string goodput =
        options.slo.empty() ? "-" : absl::StrFormat("%.2f", results.PerSecond(results.num_good));
    absl::StrAppendFormat(&out, "%-24s %8.2f %8s %9.0f %8.1f %7.1f %8.2f %7.2f %9.0f %7d\n",
                          NameOf(report.run), results.PerSecond(results.num_succeeded), goodput,
                          results.PerSecond(results.num_output_tokens), results.ttft_ms.p50,
                          results.ttft_ms.p99, results.itl_ms.p50, results.itl_ms.p99,
                          results.e2e_ms.p99, results.num_failed);
  }
  return out;
}

}  // namespace weft::bench
