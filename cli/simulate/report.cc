#include "cli/simulate/report.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/bench/report.h"
#include "scheduler/core/events.h"

namespace weft::simulate {
namespace {

using sim::PoolReport;
using sim::Refusals;

constexpr int kWidth = 72;
constexpr double kGib = 1 << 30;

// Points in time of the JSON's series.
constexpr int kNumPoints = 200;

std::string Rule(char c, const std::string& title) {
  const size_t left = (kWidth - title.size()) / 2;
  return absl::StrCat(std::string(left, c), title, std::string(kWidth - left - title.size(), c),
                      "\n");
}

void Row(std::string& out, const std::string& label, const std::string& value) {
  absl::StrAppendFormat(&out, "%-40s %s\n", label + ":", value);
}
void Row(std::string& out, const std::string& label, int64_t value) {
  Row(out, label, absl::StrCat(value));
}
void Row(std::string& out, const std::string& label, double value) {
  Row(out, label, absl::StrFormat("%.2f", value));
}
void ShareRow(std::string& out, const std::string& label, int64_t part, double share) {
  Row(out, label, absl::StrFormat("%d (%.1f%%)", part, 100 * share));
}

void LatencyRow(std::string& out, const char* name, const bench::Summary& summary) {
  absl::StrAppendFormat(&out, "%-40s %-9.2f %-9.2f %.2f\n", absl::StrCat(name, " (ms):"),
                        summary.p50, summary.p90, summary.p99);
}

void Explain(std::string& out, const char* what, const Refusals& refusals) {
  if (refusals.count == 0) return;
  absl::StrAppendFormat(&out, "%s: %d, such as: %s\n", what, refusals.count, refusals.example);
}

double Share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

int64_t NumRejected(const PoolReport& outcome) {
  return outcome.rejected_by_queue.count + outcome.rejected_for_size.count;
}
// Of all requests that clients wanted answered.
double GoodShare(const Report& report) {
  const PoolReport& outcome = report.outcome;
  return Share(report.results.num_good, static_cast<int64_t>(outcome.completed.size()) +
                                            NumRejected(outcome) + outcome.failed.count);
}
double CachedShare(const core::Counters& counters) {
  return Share(counters.num_prompt_tokens_cached,
               counters.num_prompt_tokens_cached + counters.num_prompt_tokens_computed);
}
double BusyShare(const Report& report) {
  return Share(report.outcome.busy, report.outcome.duration * report.pool.num_workers);
}

// What was asked for: enough to ask for it again.
boost::json::object LoadJson(const Options& options) {
  boost::json::object json;
  json["max_concurrency"] = nullptr;
  if (options.max_concurrency > 0) json["max_concurrency"] = options.max_concurrency;
  json["prefix_len"] = options.prefix_len;
  if (!options.trace.empty()) {
    json["trace"] = options.trace;
    return json;
  }
  json["num_prompts"] = options.num_prompts;
  json["request_rate"] = "inf";
  if (options.request_rate > 0 && std::isfinite(options.request_rate)) {
    json["request_rate"] = options.request_rate;
  }
  json["random_input_len"] = options.random_input_len;
  json["random_output_len"] = options.random_output_len;
  json["num_prefixes"] = options.num_prefixes;
  json["seed"] = options.seed;
  return json;
}

boost::json::object TimelineJson(const PoolReport& outcome) {
  boost::json::object json;
  json["seconds_per_point"] = 1e-6 * static_cast<double>(outcome.duration) / kNumPoints;
  const std::pair<const char*, sim::Timeline::Series> kSeries[] = {
      {"running", sim::Timeline::kRunning},
      {"waiting", sim::Timeline::kWaiting},
      {"blocks_in_use", sim::Timeline::kBlocksInUse},
      {"output_throughput", sim::Timeline::kOutputTokensPerSecond}};
  for (const auto& [name, series] : kSeries) {
    boost::json::array values;
    for (const double value : outcome.timeline.Columns(series, kNumPoints, outcome.duration)) {
      values.push_back(value);
    }
    json[name] = std::move(values);
  }
  return json;
}

}  // namespace

bench::Results Summarize(const PoolReport& outcome, const bench::Slo& slo) {
  bench::Measurements measured;
  for (const sim::CompletedRequest& request : outcome.completed) {
    const double ttft_ms = 1e-3 * static_cast<double>(request.ttft);
    const double e2e_ms = 1e-3 * static_cast<double>(request.e2e);
    const int num_gaps = request.num_output_tokens - 1;
    measured.requests.push_back({.ttft_ms = ttft_ms,
                                 .e2e_ms = e2e_ms,
                                 .mean_itl_ms = num_gaps > 0 ? (e2e_ms - ttft_ms) / num_gaps : 0,
                                 .num_prompt_tokens = request.num_input_tokens,
                                 .num_output_tokens = request.num_output_tokens});
  }
  measured.itl_ms = outcome.itl_ms;
  return bench::Summarize(measured, 1e-6 * static_cast<double>(outcome.duration), slo);
}

std::string PoolName(const sim::PoolOptions& pool) {
  return absl::StrFormat("%d x %s, %d KV blocks each", pool.num_workers, std::string(pool.gpu.name),
                         pool.num_blocks);
}

std::string Table(const Report& report) {
  const auto& [options, pool, outcome, results] = report;
  const core::Counters& counters = outcome.counters;
  std::string out = Rule('=', absl::StrCat(" ", PoolName(pool), " "));
  Row(out, "KV memory of each worker (GiB)",
      pool.num_blocks * core::kBlockTokens * pool.shape.kv_bytes_per_token / kGib);
  Row(out, "Simulated duration (s)", results.duration_s);
  Row(out, "Completed requests", results.num_succeeded);
  Row(out, "Rejected requests", NumRejected(outcome));
  Row(out, "Failed requests", outcome.failed.count);
  Row(out, "Request throughput (req/s)", results.PerSecond(results.num_succeeded));
  if (!options.slo.empty()) {
    Row(out, "Request goodput (req/s)",
        absl::StrFormat("%.2f (%.1f%% of requests)", results.PerSecond(results.num_good),
                        100 * GoodShare(report)));
  }
  Row(out, "Output token throughput (tok/s)", results.PerSecond(results.num_output_tokens));
  Row(out, "Total token throughput (tok/s)",
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens));
  if (results.num_succeeded > 0) {
    out += Rule('-', " Latency ");
    absl::StrAppendFormat(&out, "%-40s %-9s %-9s %s\n", "", "p50", "p90", "p99");
    LatencyRow(out, "Time to first token", results.ttft_ms);
    LatencyRow(out, "Inter-token latency", results.itl_ms);
    LatencyRow(out, "End-to-end latency", results.e2e_ms);
  }
  out += Rule('-', " Scheduler and workers ");
  Row(out, "Preemptions", counters.num_preemptions);
  Row(out, "Recomputed tokens", counters.num_recomputed_tokens);
  ShareRow(out, "Prompt tokens from the prefix cache", counters.num_prompt_tokens_cached,
           CachedShare(counters));
  ShareRow(out, "Peak KV blocks in use", outcome.peak_blocks_in_use,
           Share(outcome.peak_blocks_in_use, outcome.num_blocks_total));
  Row(out, "Workers busy", absl::StrFormat("%.1f%%", 100 * BusyShare(report)));
  Row(out, "Steps", counters.num_steps);
  Row(out, "Rows per step, mean", Share(outcome.num_rows, counters.num_steps));
  out += Rule('=', "");
  Explain(out, "Rejected by the queue", outcome.rejected_by_queue);
  Explain(out, "Rejected for their size", outcome.rejected_for_size);
  Explain(out, "Failed", outcome.failed);
  if (outcome.num_cut_answers > 0) {
    absl::StrAppendFormat(&out, "Ended early, at the length that a worker holds: %d\n",
                          outcome.num_cut_answers);
  }
  return out;
}

std::string Json(const Report& report) {
  const auto& [options, pool, outcome, results] = report;
  const core::Counters& counters = outcome.counters;
  boost::json::object json;
  json["gpu"] = options.gpu;
  json["speed"] = options.speed;
  json["num_workers"] = pool.num_workers;
  json["num_blocks"] = pool.num_blocks;
  json["max_num_seqs"] = pool.max_num_seqs;
  json["max_num_batched_tokens"] = pool.max_num_batched_tokens;
  json["max_mixed_step_ms"] = options.max_mixed_step_ms;
  json["enable_prefix_caching"] = options.enable_prefix_caching;
  json["max_waiting"] = options.max_waiting;
  json["load"] = LoadJson(options);
  json["slo"] = options.slo;
  json["duration"] = results.duration_s;
  json["completed"] = results.num_succeeded;
  json["rejected"] = NumRejected(outcome);
  json["failed"] = outcome.failed.count;
  json["cut_answers"] = outcome.num_cut_answers;
  json["total_input_tokens"] = results.num_prompt_tokens;
  json["total_output_tokens"] = results.num_output_tokens;
  json["request_throughput"] = results.PerSecond(results.num_succeeded);
  json["request_goodput"] = nullptr;
  json["good_share"] = nullptr;
  if (!options.slo.empty()) {
    json["request_goodput"] = results.PerSecond(results.num_good);
    json["good_share"] = GoodShare(report);
  }
  json["output_throughput"] = results.PerSecond(results.num_output_tokens);
  json["total_token_throughput"] =
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens);
  bench::AddFields(json, "ttft", results.ttft_ms);
  bench::AddFields(json, "tpot", results.tpot_ms);
  bench::AddFields(json, "itl", results.itl_ms);
  bench::AddFields(json, "e2el", results.e2e_ms);
  json["preemptions"] = counters.num_preemptions;
  json["recomputed_tokens"] = counters.num_recomputed_tokens;
  json["prefix_cache_hit_tokens"] = counters.num_prompt_tokens_cached;
  json["prefix_cache_hit_share"] = CachedShare(counters);
  json["peak_blocks_in_use"] = outcome.peak_blocks_in_use;
  json["peak_blocks_in_use_share"] = Share(outcome.peak_blocks_in_use, outcome.num_blocks_total);
  json["worker_busy_share"] = BusyShare(report);
  json["steps"] = counters.num_steps;
  json["rows_per_step"] = Share(outcome.num_rows, counters.num_steps);
  json["timeline"] = nullptr;
  if (outcome.duration > 0) json["timeline"] = TimelineJson(outcome);
  return boost::json::serialize(json) + "\n";
}

static std::string Verdict(const std::string& violation) {
  return violation.empty() ? "Every rule held.\n" : absl::StrCat("Broken: ", violation, "\n");
}

std::string ReplayTable(uint64_t seed, const sim::SimulationReport& report) {
  const auto ends = [&](core::FinishReason reason) {
    return report.num_ends[static_cast<int>(reason)];
  };
  std::string out = Rule('=', absl::StrCat(" The core, seed ", seed, " "));
  Row(out, "Events", report.num_events);
  Row(out, "Requests", report.num_requests);
  Row(out, "Ended by a stop", ends(core::FinishReason::kStop));
  Row(out, "Ended by length", ends(core::FinishReason::kLength));
  Row(out, "Cancelled", ends(core::FinishReason::kCancelled));
  Row(out, "Timed out", ends(core::FinishReason::kTimeout));
  Row(out, "Failed", ends(core::FinishReason::kError));
  Row(out, "  by a value that is not a number", report.num_errors_by_value);
  Row(out, "  by the loss of workers", report.num_errors_by_loss);
  Row(out, "  because they had outgrown every pool",
      ends(core::FinishReason::kError) - report.num_errors_by_value - report.num_errors_by_loss);
  Row(out, "Workers lost", report.num_worker_losses);
  Row(out, "Schedulers lost", report.num_scheduler_losses);
  Row(out, "Steps", report.num_steps);
  Row(out, "Preemptions", report.num_preemptions);
  Row(out, "Sequences moved on by a loss or drain", report.num_requeued);
  Row(out, "Prompt tokens from the prefix cache", report.num_cached_tokens);
  Row(out, "Tokens sampled behind an end", report.num_discarded_tokens);
  return out + Rule('=', "") + Verdict(report.violation);
}

std::string ReplayTable(uint64_t seed, const sim::FaultReport& report) {
  std::string out = Rule('=', absl::StrCat(" All tiers, seed ", seed, " "));
  Row(out, "Events", report.num_events);
  Row(out, "Requests", report.num_requests);
  Row(out, "Completed", report.num_completed);
  Row(out, "  by several schedulers", report.num_continued);
  Row(out, "Failed", report.num_failed);
  Row(out, "Cancelled", report.num_cancelled);
  Row(out, "Rejected", report.num_rejected);
  Row(out, "Reset with their gateway", report.num_reset);
  Row(out, "Crashes", report.num_crashes);
  Row(out, "Processes stopped for a while", report.num_stops);
  Row(out, "Streams broken", report.num_broken_links);
  Row(out, "Streams silent for a while", report.num_silent_links);
  Row(out, "Clock jumps", report.num_clock_jumps);
  Row(out, "Changes of leader", report.num_leader_changes);
  Row(out, "Steps", report.num_steps);
  Row(out, "Preemptions", report.num_preemptions);
  Row(out, "Sequences moved on by a loss or drain", report.num_requeued);
  return out + Rule('=', "") + Verdict(report.violation);
}

}  // namespace weft::simulate
