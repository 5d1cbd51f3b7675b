#include "common/tracer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/curl.h"
#include "common/flags.h"
#include "common/otlp_json.h"
#include "common/process_name.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr size_t kMaxWaiting = 8192;
constexpr size_t kMaxBatch = 512;
constexpr milliseconds kBatchWait{1000};  // for a batch to fill
constexpr milliseconds kFirstPause{500};  // after a failure; doubled up to:
constexpr milliseconds kLongestPause{30'000};
constexpr milliseconds kLastWords{3000};  // for what is left at the end
constexpr long kRequestTimeoutMs = 10'000;

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

absl::StatusOr<std::string> ExportUrl(const std::string& endpoint) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--otlp-endpoint ", endpoint, ": ", std::string(why),
        "; it takes the URL of an OTLP/HTTP collector, such as http://collector:4318"));
  };
  const std::unique_ptr<CURLU, CurlUrlDeleter> url(curl_url());
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, endpoint.c_str(), 0)) {
    return bad(curl_url_strerror(code));
  }
  char* part = nullptr;
  curl_url_get(url.get(), CURLUPART_SCHEME, &part, 0);
  const std::string scheme = part;
  curl_free(part);
  if (scheme != "http" && scheme != "https") return bad("it is neither http nor https");
  constexpr std::string_view kPath = "/v1/traces";
  std::string whole = endpoint;
  while (whole.back() == '/') whole.pop_back();
  if (whole.size() < kPath.size() || whole.substr(whole.size() - kPath.size()) != kPath) {
    whole += kPath;
  }
  return whole;
}

uint64_t RandomId() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seeds{device(), device(), device(), device()};
    return std::mt19937_64(seeds);
  }();
  uint64_t id = 0;
  while (id == 0) id = random();
  return id;
}

// As OpenTelemetry's TraceIdRatioBased: every process with the same ratio decides alike.
bool IsSampled(uint64_t trace_low, double ratio) {
  if (ratio >= 1) return true;
  return static_cast<double>(trace_low >> 1) < ratio * 0x1p63;
}

}  // namespace

void AddTraceFlags(Flags& flags, TraceOptions& options, bool begins_traces) {
  flags.Add("--otlp-endpoint", options.endpoint,
            "URL of an OpenTelemetry collector that takes OTLP over HTTP, such as "
            "http://collector:4318: gets the spans of requests whose `traceparent` says so");
  if (!begins_traces) return;
  flags.Add("--trace-ratio", options.ratio,
            "Part of the requests without a `traceparent` that are traced, too", 0.0, 1.0);
}

struct Tracer::Impl {
  Impl(std::string url_, OtlpResource resource_, Metrics& metrics, const std::string& tier)
      : url(std::move(url_)),
        resource(std::move(resource_)),
        exported(metrics.Counter(absl::StrCat("weft_", tier, "_trace_spans_total"),
                                 "Spans of traces by what became of them",
                                 {{"result", "exported"}})),
        dropped(metrics.Counter(absl::StrCat("weft_", tier, "_trace_spans_total"),
                                "Spans of traces by what became of them",
                                {{"result", "dropped"}})) {
    headers.Add("Content-Type: application/json");
    thread = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      end_by = steady_clock::now() + kLastWords;
    }
    changed.notify_all();
    thread.join();
  }

  void Run() {
    milliseconds pause = kFirstPause;
    std::vector<Span> batch;
    while (true) {
      if (batch.empty()) batch = NextBatch();
      if (batch.empty()) return;
      const Outcome outcome = Send(batch);
      if (outcome == Outcome::kTryAgain && Pause(pause)) {
        pause = std::min(2 * pause, kLongestPause);
        continue;
      }
      (outcome == Outcome::kTaken ? exported : dropped)
          .Increment(static_cast<double>(batch.size()));
      batch.clear();
      pause = kFirstPause;
    }
  }

  // Empty: this is the end.
  std::vector<Span> NextBatch() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return end_by || !waiting.empty(); });
    changed.wait_for(lock, kBatchWait, [&] { return end_by || waiting.size() >= kMaxBatch; });
    const size_t count = std::min(waiting.size(), kMaxBatch);
    std::vector<Span> batch(std::move_iterator(waiting.begin()),
                            std::move_iterator(waiting.begin() + static_cast<ptrdiff_t>(count)));
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<ptrdiff_t>(count));
    return batch;
  }

  // False: there is no time for another attempt.
  bool Pause(milliseconds pause) {
    std::unique_lock lock(mutex);
    const auto until = steady_clock::now() + pause;
    changed.wait_until(lock, until, [&] { return end_by && *end_by <= until; });
    return !end_by || steady_clock::now() < *end_by;
  }

  enum class Outcome { kTaken, kRefused, kTryAgain };

  Outcome Send(const std::vector<Span>& batch) {
    const std::string body = OtlpJson(resource, batch);
    CURL* const c = curl.get();
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, TimeoutMs());
    curl_easy_setopt(
        c, CURLOPT_WRITEFUNCTION, +[](char*, size_t, size_t n, void*) { return n; });
    const CURLcode code = curl_easy_perform(c);
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status / 100 == 2) {
      if (std::exchange(is_failing, false)) spdlog::info("traces: {} takes spans again", url);
      return Outcome::kTaken;
    }
    if (!std::exchange(is_failing, true)) {
      spdlog::warn("traces: {} takes no spans: {}", url,
                   code != CURLE_OK ? curl_easy_strerror(code) : absl::StrCat("status ", status));
    }
    const bool may_pass =
        code != CURLE_OK || status == 429 || status == 502 || status == 503 || status == 504;
    return may_pass ? Outcome::kTryAgain : Outcome::kRefused;
  }

  long TimeoutMs() {
    std::lock_guard lock(mutex);
    if (!end_by) return kRequestTimeoutMs;
    const auto left = std::chrono::duration_cast<milliseconds>(*end_by - steady_clock::now());
    return std::max<long>(1, left.count());
  }

  const std::string url;
  const OtlpResource resource;
  prometheus::Counter& exported;
  prometheus::Counter& dropped;
  const Curl curl = NewCurl("");  // the thread's
  CurlHeaders headers;
  bool is_failing = false;  // the thread's

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Span> waiting;
  std::optional<steady_clock::time_point> end_by;
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<Tracer>> Tracer::Start(const TraceOptions& options,
                                                      const std::string& service,
                                                      Metrics& metrics) {
  std::unique_ptr<Impl> impl;
  if (!options.endpoint.empty()) {
    auto url = ExportUrl(options.endpoint);
    if (!url.ok()) return url.status();
    impl = std::make_unique<Impl>(*std::move(url), OtlpResource{service, UniqueProcessName()},
                                  metrics, service.substr(service.find('-') + 1));
  } else if (options.ratio > 0) {
    return absl::InvalidArgumentError("--trace-ratio needs --otlp-endpoint: where spans go");
  }
  return std::unique_ptr<Tracer>(new Tracer(options.ratio, std::move(impl)));
}

Tracer* Tracer::Off() {
  static Tracer off(0, nullptr);
  return &off;
}

Tracer::Tracer(double ratio, std::unique_ptr<Impl> impl) : ratio_(ratio), impl_(std::move(impl)) {}

Tracer::~Tracer() = default;

Tracer::Begun Tracer::Begin(std::string_view traceparent) {
  const SpanContext parent = ParseTraceparent(traceparent);
  if (impl_ == nullptr || parent.valid()) return Begin(parent);
  SpanContext own{.trace_high = RandomId(), .trace_low = RandomId(), .span = RandomId()};
  own.sampled = IsSampled(own.trace_low, ratio_);
  return {own, 0};
}

Tracer::Begun Tracer::Begin(const SpanContext& parent) {
  if (!records(parent)) return {parent, 0};
  SpanContext own = parent;
  own.span = RandomId();
  return {own, parent.span};
}

void Tracer::Record(Span span) {
  if (!records(span.context)) return;
  std::lock_guard lock(impl_->mutex);
  if (impl_->waiting.size() >= kMaxWaiting) {
    impl_->dropped.Increment();
    return;
  }
  impl_->waiting.push_back(std::move(span));
  if (impl_->waiting.size() == 1 || impl_->waiting.size() == kMaxBatch) {
    impl_->changed.notify_one();
  }
}

int64_t UnixNanos() { return UnixNanosAgo(nanoseconds(0)); }

int64_t UnixNanosAgo(nanoseconds ago) {
  return std::chrono::duration_cast<nanoseconds>(system_clock::now().time_since_epoch() - ago)
      .count();
}

}  // namespace weft
