#include "scheduler/rpc/scheduler_metrics.h"

#include <string>

namespace weft::scheduler {
namespace {

prometheus::Counter& Finished(Metrics& metrics, const char* reason) {
  return metrics.Counter("weft_scheduler_requests_total", "Sequences ended, by how.",
                         {{"finish_reason", reason}});
}

prometheus::Counter& Rejected(Metrics& metrics, const char* reason) {
  return metrics.Counter("weft_scheduler_rejected_total", "Sequences never accepted, by why.",
                         {{"reason", reason}});
}

prometheus::Gauge& Waiting(Metrics& metrics, const char* reason) {
  return metrics.Gauge("weft_scheduler_requests_waiting", "Sequences waiting, by what for.",
                       {{"reason", reason}});
}

prometheus::Gauge& Blocks(Metrics& metrics, const char* state) {
  return metrics.Gauge("weft_scheduler_kv_blocks", "KV blocks of all workers, by state.",
                       {{"state", state}});
}

prometheus::Counter& PromptTokens(Metrics& metrics, const char* source) {
  return metrics.Counter("weft_scheduler_prompt_tokens_total",
                         "Prompt tokens of sequences that ran, computed or from the prefix cache.",
                         {{"source", source}});
}

prometheus::Gauge& Workers(Metrics& metrics, const char* state) {
  return metrics.Gauge("weft_scheduler_workers", "Workers attached, by state.", {{"state", state}});
}

prometheus::Histogram& Phase(Metrics& metrics, const char* phase, const char* help) {
  return metrics.Histogram(std::string("weft_scheduler_request_") + phase + "_duration_seconds",
                           help, kDurationBuckets);
}

}  // namespace

SchedulerMetrics::SchedulerMetrics(Metrics& m)
    : running(m.Gauge("weft_scheduler_requests_running", "Sequences holding KV blocks.")),
      waiting_capacity(Waiting(m, "capacity")),
      waiting_prefix(Waiting(m, "prefix")),
      waiting_owed(Waiting(m, "owed")),
      waiting_worker(Waiting(m, "worker")),
      waiting_trial(Waiting(m, "trial")),
      finished_stop(Finished(m, "stop")),
      finished_length(Finished(m, "length")),
      finished_cancelled(Finished(m, "cancelled")),
      finished_timeout(Finished(m, "timeout")),
      finished_error(Finished(m, "error")),
      rejected_invalid(Rejected(m, "invalid")),
      rejected_queue_full(Rejected(m, "queue_full")),
      rejected_quota(Rejected(m, "quota")),
      rejected_no_worker(Rejected(m, "no_worker")),
      rejected_draining(Rejected(m, "draining")),
      preemptions(m.Counter("weft_scheduler_preemptions_total",
                            "Sequences whose blocks were taken away to be computed again.")),
      requeued(m.Counter("weft_scheduler_requeued_total",
                         "Sequences that moved on from a worker that was lost or drained.")),
      queue_seconds(Phase(m, "queue", "Seconds from receipt to the first step.")),
      prefill_seconds(Phase(m, "prefill", "Seconds from the first step to the first token.")),
      decode_seconds(Phase(m, "decode", "Seconds from the first token to the end.")),
      e2e_seconds(Phase(m, "e2e", "Seconds from receipt to the end.")),
      ttft_seconds(m.Histogram("weft_scheduler_time_to_first_token_seconds",
                               "Seconds from receipt to the first token.", kTtftBuckets)),
      inter_token_seconds(m.Histogram("weft_scheduler_inter_token_latency_seconds",
                                      "Seconds between tokens of a sequence.", kStepBuckets)),
      prompt_tokens(m.Histogram("weft_scheduler_request_prompt_tokens",
                                "Prompt tokens of a sequence.", kTokenBuckets)),
      generation_tokens(m.Histogram("weft_scheduler_request_generation_tokens",
                                    "Output tokens of a sequence.", kTokenBuckets)),
      kv_usage(m.Gauge("weft_scheduler_kv_cache_usage_ratio",
                       "Part of the KV blocks that sequences hold.")),
      blocks_used(Blocks(m, "used")),
      blocks_cached(Blocks(m, "cached")),
      blocks_free(Blocks(m, "free")),
      prefix_queried_tokens(m.Counter("weft_scheduler_prefix_cache_queried_tokens_total",
                                      "Prompt tokens looked up in the prefix cache.")),
      prefix_hit_tokens(m.Counter("weft_scheduler_prefix_cache_hit_tokens_total",
                                  "Prompt tokens found in the prefix cache.")),
      prompt_tokens_computed(PromptTokens(m, "computed")),
      prompt_tokens_cached(PromptTokens(m, "cached")),
      tokens_generated(
          m.Counter("weft_scheduler_generation_tokens_total", "Output tokens handed to gateways.")),
      step_tokens(m.Histogram("weft_scheduler_step_tokens", "Tokens of a step.", kTokenBuckets)),
      plan_seconds(m.Histogram("weft_scheduler_plan_duration_seconds",
                               "Seconds that planning one step took.", kHostBuckets)),
      leader(m.Gauge("weft_scheduler_leader", "1 while this scheduler leads its group.")),
      workers_ready(Workers(m, "ready")),
      workers_draining(Workers(m, "draining")),
      workers_lost(m.Counter("weft_scheduler_workers_lost_total",
                             "Workers whose stream broke, that fell silent or failed.")),
      heartbeat_age(m.Gauge("weft_scheduler_worker_heartbeat_age_seconds",
                            "Seconds since the attached worker silent for longest was heard.")),
      sessions(m.Gauge("weft_scheduler_sessions", "Gateways connected.")),
      sessions_cut(m.Counter("weft_scheduler_sessions_cut_total",
                             "Gateways cut off because they read too slowly.")),
      metrics_(m) {}

void SchedulerMetrics::CountFinished(const core::Finished& f) {
  switch (f.reason) {
    case core::FinishReason::kStop:
      finished_stop.Increment();
      break;
    case core::FinishReason::kLength:
      finished_length.Increment();
      break;
    case core::FinishReason::kCancelled:
      finished_cancelled.Increment();
      break;
    case core::FinishReason::kTimeout:
      finished_timeout.Increment();
      break;
    case core::FinishReason::kError:
      finished_error.Increment();
      break;
  }
  const core::SequenceTimes& t = f.times;
  auto observe = [](prometheus::Histogram& histogram, core::Micros from, core::Micros to) {
    if (from != core::kNever && to != core::kNever) histogram.Observe((to - from) * 1e-6);
  };
  observe(queue_seconds, t.queued, t.first_scheduled);
  observe(prefill_seconds, t.first_scheduled, t.first_token);
  observe(decode_seconds, t.first_token, t.finished);
  observe(e2e_seconds, t.queued, t.finished);
  observe(ttft_seconds, t.queued, t.first_token);
  prompt_tokens.Observe(f.num_prompt_tokens);
  generation_tokens.Observe(f.num_output_tokens);
}

void SchedulerMetrics::CountRejected(v1::RejectCode code) {
  switch (code) {
    case v1::REJECT_CODE_QUEUE_FULL:
      return rejected_queue_full.Increment();
    case v1::REJECT_CODE_QUOTA:
      return rejected_quota.Increment();
    case v1::REJECT_CODE_NO_WORKER:
      return rejected_no_worker.Increment();
    case v1::REJECT_CODE_DRAINING:
      return rejected_draining.Increment();
    default:
      return rejected_invalid.Increment();
  }
}

// A family of which one member is 1: the labels tell the configuration, as
// Prometheus' info metrics do. It changes when workers come or go.
void SchedulerMetrics::FollowCacheConfig(int64_t num_blocks) {
  if (num_blocks == cache_config_blocks_) return;
  cache_config_blocks_ = num_blocks;
  if (cache_config_ != nullptr) cache_config_->Set(0);
  cache_config_ = &metrics_.Gauge("weft_scheduler_cache_config_info",
                                  "1 for the KV cache of the workers attached now.",
                                  {{"block_size", std::to_string(core::kBlockTokens)},
                                   {"num_gpu_blocks", std::to_string(num_blocks)}});
  cache_config_->Set(1);
}

void SchedulerMetrics::Follow(const core::Counters& c, const core::Gauges& g) {
  running.Set(g.num_running);
  waiting_capacity.Set(g.num_waiting_capacity);
  waiting_prefix.Set(g.num_waiting_prefix);
  waiting_owed.Set(g.num_waiting_owed);
  waiting_worker.Set(g.num_waiting_worker);
  waiting_trial.Set(g.num_waiting_trial);
  kv_usage.Set(g.num_blocks_total > 0 ? double(g.num_blocks_used) / g.num_blocks_total : 0);
  blocks_used.Set(g.num_blocks_used);
  blocks_cached.Set(g.num_blocks_cached);
  blocks_free.Set(g.num_blocks_free);
  workers_ready.Set(g.num_workers_ready);
  workers_draining.Set(g.num_workers_draining);
  auto follow = [](prometheus::Counter& counter, int64_t now, int64_t before) {
    if (now > before) counter.Increment(static_cast<double>(now - before));
  };
  follow(preemptions, c.num_preemptions, followed_.num_preemptions);
  follow(requeued, c.num_requeued, followed_.num_requeued);
  follow(prompt_tokens_computed, c.num_prompt_tokens_computed,
         followed_.num_prompt_tokens_computed);
  follow(prompt_tokens_cached, c.num_prompt_tokens_cached, followed_.num_prompt_tokens_cached);
  follow(prefix_queried_tokens, c.num_prompt_tokens_computed + c.num_prompt_tokens_cached,
         followed_.num_prompt_tokens_computed + followed_.num_prompt_tokens_cached);
  follow(prefix_hit_tokens, c.num_prompt_tokens_cached, followed_.num_prompt_tokens_cached);
  follow(tokens_generated, c.num_generated_tokens, followed_.num_generated_tokens);
  followed_ = c;
  FollowCacheConfig(g.num_blocks_total);
}

}  // namespace weft::scheduler
