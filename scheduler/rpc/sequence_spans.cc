#include "scheduler/rpc/sequence_spans.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace weft::scheduler {
namespace {

const char* NameOf(core::FinishReason reason) {
  switch (reason) {
    case core::FinishReason::kStop:
      return "stop";
    case core::FinishReason::kLength:
      return "length";
    case core::FinishReason::kCancelled:
      return "cancelled";
    case core::FinishReason::kTimeout:
      return "timeout";
    case core::FinishReason::kError:
      return "error";
  }
  return "error";
}

std::string ErrorOf(const core::Finished& finished) {
  if (finished.reason == core::FinishReason::kTimeout) return "timeout";
  return finished.reason == core::FinishReason::kError ? finished.message : std::string();
}

}  // namespace

void RecordSpans(Tracer& tracer, const core::Finished& finished, core::Micros now) {
  if (!tracer.records(finished.trace)) return;
  const core::SequenceTimes& times = finished.times;
  struct Phase {
    const char* name;
    core::Micros begin;
    core::Micros end;
  };
  // One that was taken over has had its first token before it was scheduled here: all it
  // computes is decode.
  const bool taken_over = times.first_token < times.first_scheduled;
  const core::Micros prefilled = taken_over ? times.first_scheduled : times.first_token;
  const std::array<Phase, 3> phases{{{"queue", times.queued, times.first_scheduled},
                                     {"prefill", times.first_scheduled, prefilled},
                                     {"decode", prefilled, times.finished}}};
  const auto unix_nanos = [now, unix_now = UnixNanos()](core::Micros t) {
    return unix_now - (now - t) * 1000;
  };
  for (const Phase& phase : phases) {
    if (taken_over && phase.begin == phase.end) continue;
    const bool is_last = phase.end >= times.finished;  // or kNever
    const Tracer::Begun begun = tracer.Begin(finished.trace);
    Span span{.name = phase.name,
              .context = begun.context,
              .parent = begun.parent,
              .begin_ns = unix_nanos(phase.begin),
              .end_ns = unix_nanos(std::min(phase.end, times.finished))};
    if (is_last) {
      span.error = ErrorOf(finished);
      span.attributes = {{"weft.finish_reason", NameOf(finished.reason)},
                         {"weft.prompt_tokens", int64_t{finished.num_prompt_tokens}},
                         {"weft.cached_tokens", int64_t{finished.num_cached_tokens}},
                         {"weft.output_tokens", int64_t{finished.num_output_tokens}},
                         {"weft.preemptions", int64_t{finished.num_preemptions}}};
    }
    tracer.Record(std::move(span));
    if (is_last) break;
  }
}

}  // namespace weft::scheduler
