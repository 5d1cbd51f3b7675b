// What the scheduler counts (weft_scheduler_*). Kept by the loop's thread, read
// by the admin server's.
#pragma once

#include "common/metrics.h"
#include "scheduler/core/events.h"
#include "scheduler/core/stats.h"
#include "weft/v1/scheduler.pb.h"

namespace weft::scheduler {

struct SchedulerMetrics {
  explicit SchedulerMetrics(Metrics& metrics);

  void CountFinished(const core::Finished& finished);
  void CountRejected(v1::RejectCode code);
  // Brings counters and gauges up to the core's.
  void Follow(const core::Counters& counters, const core::Gauges& gauges);

  // Requests: one per choice of a client's request.
  prometheus::Gauge& running;
  prometheus::Gauge& waiting_capacity;  // as core::Gauges has them
  prometheus::Gauge& waiting_prefix;
  prometheus::Gauge& waiting_owed;
  prometheus::Gauge& waiting_worker;
  prometheus::Gauge& waiting_trial;
  prometheus::Counter& finished_stop;
  prometheus::Counter& finished_length;
  prometheus::Counter& finished_cancelled;
  prometheus::Counter& finished_timeout;
  prometheus::Counter& finished_error;
  prometheus::Counter& rejected_invalid;
  prometheus::Counter& rejected_queue_full;
  prometheus::Counter& rejected_quota;
  prometheus::Counter& rejected_no_worker;
  prometheus::Counter& rejected_draining;
  prometheus::Counter& preemptions;
  prometheus::Counter& requeued;
  prometheus::Histogram& queue_seconds;
  prometheus::Histogram& prefill_seconds;
  prometheus::Histogram& decode_seconds;
  prometheus::Histogram& e2e_seconds;
  prometheus::Histogram& ttft_seconds;
  prometheus::Histogram& inter_token_seconds;
  prometheus::Histogram& prompt_tokens;
  prometheus::Histogram& generation_tokens;

  // KV blocks, over all attached workers.
  prometheus::Gauge& kv_usage;
  prometheus::Gauge& blocks_used;
  prometheus::Gauge& blocks_cached;
  prometheus::Gauge& blocks_free;
  prometheus::Counter& prefix_queried_tokens;
  prometheus::Counter& prefix_hit_tokens;

  // Tokens.
  prometheus::Counter& prompt_tokens_computed;
  prometheus::Counter& prompt_tokens_cached;
  prometheus::Counter& tokens_generated;
  prometheus::Histogram& step_tokens;
  prometheus::Histogram& plan_seconds;

  // Peers.
  prometheus::Gauge& leader;  // 1 from Lead on
  prometheus::Gauge& workers_ready;
  prometheus::Gauge& workers_draining;
  prometheus::Counter& workers_lost;
  prometheus::Gauge& heartbeat_age;   // of the worker silent for longest
  prometheus::Gauge& sessions;        // gateways
  prometheus::Counter& sessions_cut;  // they read too slowly

 private:
  void FollowCacheConfig(int64_t num_blocks);

  Metrics& metrics_;
  core::Counters followed_;
  prometheus::Gauge* cache_config_ = nullptr;  // the one that is 1
  int64_t cache_config_blocks_ = 0;
};

}  // namespace weft::scheduler
