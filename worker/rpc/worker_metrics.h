// What a worker counts (weft_worker_*).
#pragma once

#include "common/metrics.h"
#include "worker/engine/backend.h"

namespace weft::worker {

struct WorkerMetrics {
  explicit WorkerMetrics(Metrics& metrics);

  void CountStep(const StepCommand& command, const StepResult& result);

  prometheus::Gauge& ready;                // attached
  prometheus::Counter& idle_seconds;       // no step at hand
  prometheus::Counter& errors_step;        // the backend failed
  prometheus::Counter& errors_contract;    // the scheduler sent what cannot be run
  prometheus::Counter& errors_non_finite;  // rows
  prometheus::Counter& steps_captured;     // by how they were launched
  prometheus::Counter& steps_eager;
  prometheus::Histogram& queue;
  prometheus::Histogram& forward;
  prometheus::Histogram& sample;
  prometheus::Histogram& batch_size;  // rows of a step
  prometheus::Histogram& step_tokens;
};

}  // namespace weft::worker
