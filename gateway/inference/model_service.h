// One model behind one scheduler: a group, as the gateway has it. ModelRouter, in front, knows
// that a request is for this one.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "common/tracer.h"
#include "gateway/inference/gateway_metrics.h"
#include "gateway/inference/model.h"
#include "gateway/inference/service.h"
#include "gateway/inference/work_pool.h"
#include "gateway/upstream/upstream.h"

namespace weft::gateway {

struct ModelServiceOptions {
  int max_n = 8;
  std::chrono::milliseconds default_timeout{std::chrono::hours(1)};
  int num_threads = 2;          // that render and tokenize
  size_t max_preparing = 1024;  // requests that wait for one of them
  // After the loss of a scheduler new requests are still taken for as long, and wait for the
  // next with what is open. One that ends hands over within some tenths of a second; a lease
  // that a killed one held runs out after three.
  std::chrono::milliseconds change_of_leader{5000};
  Tracer* tracer = Tracer::Off();  // gets a span of each request that runs
};

class ModelService {
 public:
  // `upstream` and `metrics` outlive it, and it outlives every EventStream.
  ModelService(std::shared_ptr<const Model> model, ModelServiceOptions options, Upstream& upstream,
               GatewayMetrics& metrics);
  ~ModelService();

  // As Service has them.
  void Start(Request request, std::function<void(absl::StatusOr<StartedRequest>)> done);
  std::vector<ModelInfo> Models() const;
  absl::StatusOr<std::vector<text::TokenId>> Tokenize(const Request& request) const;
  absl::StatusOr<std::string> Detokenize(const std::vector<int64_t>& tokens) const;
  std::string TokenText(text::TokenId id) const;
  absl::Status Ready() const;

  // From now on Start refuses and Ready says why; what runs goes on.
  void Drain();

  const Model& model() const { return *model_; }
  SchedulerState state() const { return upstream_.state(); }

 private:
  // OK if a request could be judged and sent now.
  absl::Status CheckUpstream(const SchedulerState& state) const;
  // Likewise, and the scheduler's queue would take it.
  absl::Status CheckQueue(const SchedulerState& state) const;
  bool IsBetweenLeaders(const SchedulerState& state) const;
  absl::StatusOr<StartedRequest> Prepare(Request& request, MonotonicTime arrived);

  const std::shared_ptr<const Model> model_;
  const ModelServiceOptions options_;
  Upstream& upstream_;
  GatewayMetrics& metrics_;
  std::atomic<bool> draining_{false};
  WorkPool pool_;  // last: its tasks use all of the above
};

}  // namespace weft::gateway
