#include "worker/rpc/worker_metrics.h"

namespace weft::worker {
namespace {

const char kStepHelp[] =
    "Seconds a step spends waiting for the one before it, in the forward pass, and sampling.";
const char kErrorsHelp[] = "What went wrong in this worker.";

prometheus::Histogram& StepPhase(Metrics& metrics, const char* phase) {
  return metrics.Histogram("weft_worker_step_duration_seconds", kStepHelp, kStepBuckets,
                           {{"phase", phase}});
}

prometheus::Counter& Steps(Metrics& metrics, const char* mode) {
  return metrics.Counter("weft_worker_cuda_graph_steps_total",
                         "Steps: replayed from a captured graph, or launched kernel by kernel.",
                         {{"mode", mode}});
}

prometheus::Counter& Errors(Metrics& metrics, const char* kind) {
  return metrics.Counter("weft_worker_errors_total", kErrorsHelp, {{"kind", kind}});
}

}  // namespace

WorkerMetrics::WorkerMetrics(Metrics& metrics)
    : ready(metrics.Gauge("weft_worker_ready", "1 while attached to a scheduler.")),
      idle_seconds(metrics.Counter("weft_worker_idle_seconds_total",
                                   "Seconds without a step while attached.")),
      errors_step(Errors(metrics, "step")),
      errors_contract(Errors(metrics, "contract")),
      errors_non_finite(Errors(metrics, "nan")),
      steps_captured(Steps(metrics, "graph")),
      steps_eager(Steps(metrics, "eager")),
      queue(StepPhase(metrics, "queue")),
      forward(StepPhase(metrics, "forward")),
      sample(StepPhase(metrics, "sample")),
      batch_size(metrics.Histogram("weft_worker_batch_size", "Rows of a step.", kTokenBuckets)),
      step_tokens(
          metrics.Histogram("weft_worker_step_tokens", "Tokens of a step.", kTokenBuckets)) {}

void WorkerMetrics::CountStep(const StepCommand& command, const StepResult& result) {
  int num_tokens = 0;
  for (const StepRow& row : command.rows) num_tokens += row.num_tokens;
  for (const RowResult& row : result.rows) {
    if (row.status == RowStatus::kNonFinite) errors_non_finite.Increment();
  }
  (result.is_captured ? steps_captured : steps_eager).Increment();
  batch_size.Observe(static_cast<double>(command.rows.size()));
  step_tokens.Observe(num_tokens);
  queue.Observe(result.queue_us * 1e-6);
  forward.Observe(result.forward_us * 1e-6);
  sample.Observe(result.sample_us * 1e-6);
}

}  // namespace weft::worker
