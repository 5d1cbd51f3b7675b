#include "cli/bench/report.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace weft::bench {
namespace {

constexpr size_t kWidth = 50;

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

bool HasRate(const Options& options) {
  return options.request_rate > 0 && std::isfinite(options.request_rate);
}

}  // namespace

void AddFields(boost::json::object& json, const std::string& name, const Summary& summary) {
  json[absl::StrCat("mean_", name, "_ms")] = summary.mean;
  json[absl::StrCat("median_", name, "_ms")] = summary.p50;
  json[absl::StrCat("std_", name, "_ms")] = summary.std;
  json[absl::StrCat("p50_", name, "_ms")] = summary.p50;
  json[absl::StrCat("p90_", name, "_ms")] = summary.p90;
  json[absl::StrCat("p99_", name, "_ms")] = summary.p99;
}

std::string Table(const Report& report) {
  const auto& [options, outcome, results] = report;
  std::string out = Rule('=', " Serving Benchmark Result ");
  Row(out, "Successful requests", results.num_succeeded);
  Row(out, "Failed requests", results.num_failed);
  if (options.max_concurrency > 0) {
    Row(out, "Maximum request concurrency", int64_t{options.max_concurrency});
  }
  if (HasRate(options)) Row(out, "Request rate configured (req/s)", options.request_rate);
  Row(out, "Benchmark duration (s)", results.duration_s);
  Row(out, "Total input tokens", results.num_prompt_tokens);
  Row(out, "Total generated tokens", results.num_output_tokens);
  Row(out, "Request throughput (req/s)", results.PerSecond(results.num_succeeded));
  if (!options.goodput.empty()) {
    Row(out, "Request goodput (req/s)", results.PerSecond(results.num_good));
  }
  Row(out, "Output token throughput (tok/s)", results.PerSecond(results.num_output_tokens));
  Row(out, "Total token throughput (tok/s)",
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens));
  Row(out, "Peak concurrent requests", int64_t{outcome.peak_concurrency});
  if (results.num_succeeded > 0) {
    Rows(out, "Time to First Token", "TTFT", results.ttft_ms);
    Rows(out, "Time per Output Token (excl. 1st token)", "TPOT", results.tpot_ms);
    Rows(out, "Inter-token Latency", "ITL", results.itl_ms);
    Rows(out, "End-to-end Latency", "E2EL", results.e2e_ms);
  }
  out += Rule('-', "Load generator");
  Row(out, "CPU (cores)", outcome.cpu_s / results.duration_s);
  Row(out, "Busiest thread (%)", 100 * outcome.busiest_thread_cpu_s / results.duration_s);
  out += Rule('=', "");
  if (outcome.measured.num_without_usage > 0) {
    absl::StrAppendFormat(&out,
                          "%d answers came without usage: their prompts count as 0 tokens, each of "
                          "their events as 1.\n",
                          outcome.measured.num_without_usage);
  }
  for (const auto& [kind, error] : outcome.measured.errors) {
    const Summary after = Summarize(error.after_ms);
    absl::StrAppendFormat(&out,
                          "Failed, %s: %d, after %.2f ms (median), %.2f ms (P99), such as: %s\n",
                          kind, error.count(), after.p50, after.p99, error.example);
  }
  return out;
}

std::string Json(const Report& report) {
  const auto& [options, outcome, results] = report;
  boost::json::object json;
  json["date"] = absl::FormatTime("%Y%m%d-%H%M%S", absl::Now(), absl::UTCTimeZone());
  json["backend"] = options.endpoint == "chat" ? "openai-chat" : "openai";
  json["base_url"] = options.base_url;
  json["model_id"] = options.model;
  json["num_prompts"] = options.num_prompts;
  if (HasRate(options)) {
    json["request_rate"] = options.request_rate;
  } else {
    json["request_rate"] = "inf";
  }
  json["max_concurrency"] = nullptr;
  if (options.max_concurrency > 0) json["max_concurrency"] = options.max_concurrency;
  json["random_input_len"] = options.random_input_len;
  json["random_output_len"] = options.random_output_len;
  json["ignore_eos"] = options.ignore_eos;
  json["temperature"] = options.temperature;
  json["seed"] = options.seed;
  json["duration"] = results.duration_s;
  json["completed"] = results.num_succeeded;
  json["failed"] = results.num_failed;
  json["total_input_tokens"] = results.num_prompt_tokens;
  json["total_output_tokens"] = results.num_output_tokens;
  json["request_throughput"] = results.PerSecond(results.num_succeeded);
  json["request_goodput"] = nullptr;
  if (!options.goodput.empty()) json["request_goodput"] = results.PerSecond(results.num_good);
  json["output_throughput"] = results.PerSecond(results.num_output_tokens);
  json["total_token_throughput"] =
      results.PerSecond(results.num_output_tokens + results.num_prompt_tokens);
  json["max_concurrent_requests"] = outcome.peak_concurrency;
  AddFields(json, "ttft", results.ttft_ms);
  AddFields(json, "tpot", results.tpot_ms);
  AddFields(json, "itl", results.itl_ms);
  AddFields(json, "e2el", results.e2e_ms);
  json["client_cpu_s"] = outcome.cpu_s;
  json["client_busiest_thread_cpu_s"] = outcome.busiest_thread_cpu_s;
  boost::json::array errors;
  for (const auto& [kind, error] : outcome.measured.errors) {
    const Summary after = Summarize(error.after_ms);
    errors.push_back({{"kind", kind},
                      {"count", error.count()},
                      {"p50_after_ms", after.p50},
                      {"p99_after_ms", after.p99},
                      {"example", error.example}});
  }
  json["errors"] = std::move(errors);
  return boost::json::serialize(json) + "\n";
}

absl::Status WriteFile(const char* flag, const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", flag, " ", path));
  return absl::OkStatus();
}

}  // namespace weft::bench
