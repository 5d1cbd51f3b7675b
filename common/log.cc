#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <utility>

#include "common/flags.h"

namespace weft {
namespace {

thread_local SpanContext log_trace;

void AppendEscaped(spdlog::string_view_t text, spdlog::memory_buf_t& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      for (char e : {'\\', 'u', '0', '0'}) out.push_back(e);
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
    } else {
      out.push_back(c);
    }
  }
}

// %* in the pattern below: the message, escaped for a JSON string.
class EscapedMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    AppendEscaped(message.payload, out);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<EscapedMessage>();
  }
};

// %~: the trace, if the line is of one, between what is given.
class TraceId : public spdlog::custom_flag_formatter {
 public:
  TraceId(std::string before, std::string after)
      : before_(std::move(before)), after_(std::move(after)) {}
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    if (!log_trace.valid()) return;
    const std::string text = before_ + TraceIdHex(log_trace) + after_;
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TraceId>(before_, after_);
  }

 private:
  const std::string before_;
  const std::string after_;
};

}  // namespace

void AddLogFlags(Flags& flags, LogOptions& options) {
  flags.AddChoice("--log-format", options.format, {"text", "json"}, "Log lines as text or JSON");
  flags.AddChoice("--log-level", options.level, {"debug", "info", "warning", "error"},
                  "Least severe lines that are logged");
}

void InitLog(const std::string& tier, const LogOptions& options) {
  auto logger =
      std::make_shared<spdlog::logger>(tier, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (options.format == "json") {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<EscapedMessage>('*')
        .add_flag<TraceId>('~', R"(,"trace_id":")", "\"")
        .set_pattern(
            R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","tier":"%n","message":"%*"%~})");
    logger->set_formatter(std::move(formatter));
  } else {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<TraceId>('~', " trace_id=", "")
        .set_pattern("%Y-%m-%d %H:%M:%S.%e %L %n: %v%~");
    logger->set_formatter(std::move(formatter));
  }
  logger->set_level(spdlog::level::from_str(options.level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

LogTrace::LogTrace(const SpanContext& context) : before_(std::exchange(log_trace, context)) {}

LogTrace::~LogTrace() { log_trace = before_; }

}  // namespace weft
