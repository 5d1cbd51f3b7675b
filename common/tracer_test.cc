#include "common/tracer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr char kSampled[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr char kUnsampled[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

// Takes OTLP exports, one connection each, and answers them with the next of `statuses`, then
// with 200.
class Collector {
 public:
  explicit Collector(std::vector<unsigned> statuses = {}) : statuses_(std::move(statuses)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Collector() {
    closing_ = true;
    asio::io_context context;
    asio::ip::tcp::socket wakes(context);
    boost::system::error_code ignored;
    wakes.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  std::string url() const {
    return absl::StrCat("http://127.0.0.1:", acceptor_.local_endpoint().port());
  }

  // The spans of all exports that were taken, once there are so many.
  std::vector<boost::json::value> Spans(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(30), [&] { return spans_.size() >= count; }));
    return spans_;
  }
  std::vector<std::string> bodies() {
    std::lock_guard lock(mutex_);
    return bodies_;
  }

 private:
  void Run() {
    while (true) {
      asio::ip::tcp::socket socket(context_);
      acceptor_.accept(socket);
      if (closing_) return;
      boost::beast::flat_buffer buffer;
      http::request<http::string_body> request;
      boost::system::error_code error;
      http::read(socket, buffer, request, error);
      if (error) continue;
      std::lock_guard lock(mutex_);
      const unsigned status = bodies_.size() < statuses_.size() ? statuses_[bodies_.size()] : 200;
      bodies_.push_back(request.body());
      EXPECT_EQ(request.target(), "/v1/traces");
      EXPECT_EQ(request[http::field::content_type], "application/json");
      if (status == 200) {
        const auto body = boost::json::parse(request.body());
        for (const auto& span : body.at_pointer("/resourceSpans/0/scopeSpans/0/spans").as_array()) {
          spans_.push_back(span);
        }
      }
      http::response<http::string_body> response(http::status(status), 11);
      response.keep_alive(false);
      response.prepare_payload();
      http::write(socket, response, error);
      changed_.notify_all();
    }
  }

  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
  std::vector<unsigned> statuses_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bodies_;
  std::vector<boost::json::value> spans_;
  std::atomic<bool> closing_{false};
  std::thread thread_;
};

std::unique_ptr<Tracer> Start(Metrics& metrics, const TraceOptions& options) {
  auto tracer = Tracer::Start(options, "weft-gateway", metrics);
  EXPECT_TRUE(tracer.ok()) << tracer.status();
  return *std::move(tracer);
}

Span Named(const std::string& name, const Tracer::Begun& begun) {
  return {
      .name = name, .context = begun.context, .parent = begun.parent, .begin_ns = 1, .end_ns = 2};
}

TEST(Tracer, WithoutAnEndpointItHandsOnWhatCame) {
  Metrics metrics("gateway");
  const auto tracer = Start(metrics, {});
  const auto begun = tracer->Begin(kSampled);
  EXPECT_EQ(FormatTraceparent(begun.context), kSampled);
  EXPECT_FALSE(tracer->records(begun.context));
  EXPECT_FALSE(tracer->Begin("").context.valid());
  tracer->Record(Named("nobody sees it", begun));
}

TEST(Tracer, WhoBeganTheTraceDecides) {
  Metrics metrics("gateway");
  Collector collector;
  const auto tracer = Start(metrics, {.endpoint = collector.url(), .ratio = 1});
  const auto sampled = tracer->Begin(kSampled);
  EXPECT_EQ(TraceIdHex(sampled.context), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(SpanIdHex(sampled.parent), "b7ad6b7169203331");
  EXPECT_NE(sampled.context.span, sampled.parent);
  EXPECT_TRUE(tracer->records(sampled.context));
  const auto unsampled = tracer->Begin(kUnsampled);
  EXPECT_EQ(FormatTraceparent(unsampled.context), kUnsampled);
  EXPECT_FALSE(tracer->records(unsampled.context));
}

TEST(Tracer, OfRequestsWithoutATraceItTakesTheRatio) {
  Metrics metrics("gateway");
  Collector collector;
  const auto tracer = Start(metrics, {.endpoint = collector.url(), .ratio = 0.25});
  int num_sampled = 0;
  std::set<std::string> ids;
  for (int i = 0; i < 4000; ++i) {
    const auto begun = tracer->Begin(i % 2 == 0 ? "" : "what is no traceparent");
    EXPECT_TRUE(begun.context.valid());
    EXPECT_EQ(begun.parent, 0u);
    ids.insert(TraceIdHex(begun.context));
    num_sampled += begun.context.sampled ? 1 : 0;
  }
  EXPECT_EQ(ids.size(), 4000u);
  EXPECT_NEAR(num_sampled, 1000, 165);  // six standard deviations
  const auto none = Start(metrics, {.endpoint = collector.url(), .ratio = 0});
  EXPECT_FALSE(none->Begin("").context.sampled);
}

TEST(Tracer, SpansArriveWithAllTheySay) {
  Metrics metrics("gateway");
  Collector collector;
  const auto tracer = Start(metrics, {.endpoint = collector.url() + "/"});
  const auto request = tracer->Begin(kSampled);
  Span span = Named("POST /v1/chat/completions", request);
  span.kind = Span::Kind::kServer;
  span.begin_ns = 1'700'000'000'123'456'789;
  span.end_ns = 1'700'000'001'000'000'000;
  span.attributes = {{"status", int64_t{503}}, {"seconds", 0.5}, {"name", "\"quoted\""}};
  span.error = "it failed";
  tracer->Record(span);
  tracer->Record(Named("part", tracer->Begin(request.context)));
  const auto spans = collector.Spans(2);
  EXPECT_EQ(spans[0],
            boost::json::parse(absl::StrCat(
                R"({"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": ")",
                SpanIdHex(request.context.span),
                R"(", "parentSpanId": "b7ad6b7169203331", "name": "POST /v1/chat/completions",
                "kind": 2, "startTimeUnixNano": "1700000000123456789",
                "endTimeUnixNano": "1700000001000000000", "attributes": [
                {"key": "status", "value": {"intValue": "503"}},
                {"key": "seconds", "value": {"doubleValue": 0.5}},
                {"key": "name", "value": {"stringValue": "\"quoted\""}}],
                "status": {"code": 2, "message": "it failed"}})")));
  EXPECT_EQ(spans[1].at("parentSpanId"), spans[0].at("spanId"));
  EXPECT_EQ(spans[1].at("traceId"), spans[0].at("traceId"));
  EXPECT_FALSE(spans[1].as_object().contains("status"));
  EXPECT_THAT(collector.bodies()[0],
              HasSubstr(R"({"key":"service.name","value":{"stringValue":"weft-gateway"}})"));
}

TEST(Tracer, ACollectorThatIsBusyIsAskedAgainAndOneThatRefusesIsNot) {
  Metrics metrics("gateway");
  Collector collector({503, 400});
  {
    const auto tracer = Start(metrics, {.endpoint = collector.url()});
    tracer->Record(Named("comes twice and is refused", tracer->Begin(kSampled)));
    while (collector.bodies().size() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    tracer->Record(Named("is taken", tracer->Begin(kSampled)));
    EXPECT_EQ(collector.Spans(1)[0].at("name"), "is taken");
  }
  EXPECT_EQ(collector.bodies()[0], collector.bodies()[1]);
  EXPECT_THAT(metrics.Text(), HasSubstr(R"(weft_gateway_trace_spans_total{result="exported"} 1)"));
  EXPECT_THAT(metrics.Text(), HasSubstr(R"(weft_gateway_trace_spans_total{result="dropped"} 1)"));
}

TEST(Tracer, WhatIsLeftAtTheEndIsSent) {
  Metrics metrics("gateway");
  Collector collector;
  {
    const auto tracer = Start(metrics, {.endpoint = collector.url()});
    for (int i = 0; i < 1000; ++i) tracer->Record(Named("last words", tracer->Begin(kSampled)));
  }
  EXPECT_EQ(collector.Spans(1000).size(), 1000u);
}

TEST(Tracer, WithoutACollectorSpansAreDroppedAndNobodyWaits) {
  Metrics metrics("gateway");
  const std::string url = Collector().url();  // gone again
  const auto before = std::chrono::steady_clock::now();
  {
    const auto tracer = Start(metrics, {.endpoint = url});
    for (int i = 0; i < 20'000; ++i) tracer->Record(Named("lost", tracer->Begin(kSampled)));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(20));
  EXPECT_THAT(metrics.Text(),
              HasSubstr(R"(weft_gateway_trace_spans_total{result="dropped"} 20000)"));
}

TEST(Tracer, WhatIsNoUrlIsRefused) {
  Metrics metrics("gateway");
  for (const char* endpoint :
       {"collector:4318", "ftp://collector", "http://", "grpc://c:4317", "://"}) {
    const auto tracer = Tracer::Start({.endpoint = endpoint}, "weft-gateway", metrics);
    ASSERT_FALSE(tracer.ok()) << endpoint;
    EXPECT_THAT(std::string(tracer.status().message()), HasSubstr("http://collector:4318"));
  }
  const auto nowhere = Tracer::Start({.ratio = 0.5}, "weft-gateway", metrics);
  EXPECT_THAT(std::string(nowhere.status().message()), HasSubstr("--otlp-endpoint"));
}

}  // namespace
}  // namespace weft
