#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/bench/report.h"
#include "cli/bench/server_metrics.h"

namespace weft::bench {
namespace {

namespace json = boost::json;

// A fixed length is a number, as vLLM has it.
json::value Length(const std::string& text) {
  int64_t length = 0;
  if (absl::SimpleAtoi(text, &length)) return length;
  return json::string(text);
}

void AddLoad(json::object& out, const Options& options, const RunReport& report) {
  out["backend"] = options.endpoint == "chat" ? "openai-chat" : "openai";
  out["base_url"] = options.base_url;
  out["model_id"] = options.model;
  out["num_prompts"] = report.num_prompts;
  if (report.run.request_rate > 0) {
    out["request_rate"] = report.run.request_rate;
  } else {
    out["request_rate"] = options.trace.empty() ? json::value("inf") : json::value(nullptr);
  }
  out["burstiness"] = options.burstiness;
  out["max_concurrency"] = nullptr;
  if (report.run.max_concurrency > 0) out["max_concurrency"] = report.run.max_concurrency;
  if (!options.trace.empty()) {
    out["trace"] = options.trace;
  } else if (!options.dataset_path.empty()) {
    out["dataset_path"] = options.dataset_path;
    out["random_output_len"] = Length(options.random_output_len);
  } else {
    out["random_input_len"] = Length(options.random_input_len);
    out["random_output_len"] = Length(options.random_output_len);
    out["prefix_len"] = options.prefix_len;
    out["num_prefixes"] = options.num_prefixes;
  }
  if (options.conversation_len > 0) out["conversation_len"] = options.conversation_len;
  out["ignore_eos"] = options.ignore_eos;
  out["temperature"] = options.temperature;
  out["seed"] = options.seed;
}

void AddResults(json::object& out, const Options& options, const RunReport& report) {
  const Results& results = report.results;
  out["duration"] = results.duration_s;
  out["completed"] = results.num_succeeded;
  out["failed"] = results.num_failed;
  out["total_input_tokens"] = results.num_prompt_tokens;
  out["total_output_tokens"] = results.num_output_tokens;
  out["request_throughput"] = results.PerSecond(results.num_succeeded);
  out["slo"] = nullptr;
  out["request_goodput"] = nullptr;
  if (!options.slo.empty()) {
    out["slo"] = options.slo;
    out["request_goodput"] = results.PerSecond(results.num_good);
  }
  out["input_throughput"] = results.PerSecond(results.num_prompt_tokens);
  out["output_throughput"] = results.PerSecond(results.num_output_tokens);
  out["total_token_throughput"] =
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens);
  out["max_concurrent_requests"] = report.outcome.peak_concurrency;
  out["latencies_from"] = report.has_schedule ? "arrival" : "sending";
  AddFields(out, "ttft", results.ttft_ms);
  AddFields(out, "tpot", results.tpot_ms);
  AddFields(out, "itl", results.itl_ms);
  AddFields(out, "e2el", results.e2e_ms);
  if (report.has_schedule) {
    AddFields(out, "late", results.late_ms);
    out["max_late_ms"] = results.late_ms.max;
    AddFields(out, "ttft_from_sending", results.ttft_from_sending_ms);
    AddFields(out, "e2el_from_sending", results.e2e_from_sending_ms);
  }
  out["client_cpu_s"] = report.outcome.cpu_s;
  out["client_busiest_thread_cpu_s"] = report.outcome.busiest_thread_cpu_s;
}

json::object AccountJson(const TokenAccount& account) {
  return {{"streamed_events", account.num_text_events},
          {"answers_with_an_event_per_token", account.num_equal},
          {"answers_with_fewer_events_than_tokens", account.num_fewer_events},
          {"answers_with_more_events_than_tokens", account.num_more_events},
          {"answers_without_usage", account.num_without_usage},
          {"answers_shorter_than_asked", account.num_shorter},
          {"answers_longer_than_asked", account.num_longer},
          {"prompts_counted_otherwise", account.num_other_prompts}};
}

json::object MetricsJson(const MetricSamples& samples) {
  json::object out{{"failed_samples", samples.num_failed},
                   {"times_s", json::array(samples.times_s.begin(), samples.times_s.end())}};
  for (size_t i = 0; i < ServerMetrics().size(); ++i) {
    const std::optional<SampleSummary> summary = SummarizeSamples(samples, i);
    if (!summary) continue;
    json::array values;
    for (const auto& row : samples.rows) {
      values.push_back(row[i] ? json::value(*row[i]) : json::value(nullptr));
    }
    out[ServerMetrics()[i].key] = {{"min", summary->min},
                                   {"mean", summary->mean},
                                   {"max", summary->max},
                                   {"increase", summary->increase},
                                   {"values", std::move(values)}};
  }
  return out;
}

json::array ErrorsJson(const Measurements& measured) {
  json::array errors;
  for (const auto& [kind, error] : measured.errors) {
    const Summary after = Summarize(error.after_ms);
    errors.push_back({{"kind", kind},
                      {"count", error.count()},
                      {"p50_after_ms", after.p50},
                      {"p99_after_ms", after.p99},
                      {"example", error.example}});
  }
  return errors;
}

json::object RunJson(const Options& options, const RunReport& report) {
  json::object out;
  out["date"] = absl::FormatTime("%Y%m%d-%H%M%S", absl::Now(), absl::UTCTimeZone());
  AddLoad(out, options, report);
  AddResults(out, options, report);
  out["token_account"] = AccountJson(report.account);
  if (!options.metrics_url.empty()) out["server_metrics"] = MetricsJson(report.metrics);
  out["errors"] = ErrorsJson(report.outcome.measured);
  return out;
}

}  // namespace

void AddFields(json::object& out, const std::string& name, const Summary& summary) {
  out[absl::StrCat("mean_", name, "_ms")] = summary.mean;
  out[absl::StrCat("median_", name, "_ms")] = summary.p50;
  out[absl::StrCat("std_", name, "_ms")] = summary.std;
  out[absl::StrCat("p50_", name, "_ms")] = summary.p50;
  out[absl::StrCat("p90_", name, "_ms")] = summary.p90;
  out[absl::StrCat("p99_", name, "_ms")] = summary.p99;
}

std::string Json(const Options& options, const std::vector<RunReport>& reports) {
  json::array runs;
  for (const RunReport& report : reports) runs.push_back(RunJson(options, report));
  if (runs.size() == 1) return json::serialize(runs[0]) + "\n";
  return json::serialize(json::object{{"runs", std::move(runs)}}) + "\n";
}

absl::Status WriteFile(const char* flag, const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", flag, " ", path));
  return absl::OkStatus();
}

}  // namespace weft::bench
