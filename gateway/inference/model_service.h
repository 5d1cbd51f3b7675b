// The Service of one model behind one scheduler.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

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
};

class ModelService final : public Service {
 public:
  // `upstream` and `metrics` outlive it, and it outlives every EventStream.
  ModelService(std::shared_ptr<const Model> model, ModelServiceOptions options, Upstream& upstream,
               GatewayMetrics& metrics);
  ~ModelService() override;

  void Start(Request request, std::function<void(absl::StatusOr<StartedRequest>)> done) override;
  std::vector<ModelInfo> Models() const override;
  absl::StatusOr<std::vector<text::TokenId>> Tokenize(const Request& request) const override;
  absl::StatusOr<std::string> Detokenize(const std::string& model,
                                         const std::vector<int64_t>& tokens) const override;
  std::string TokenText(const std::string& model, text::TokenId id) const override;
  absl::Status Ready() const override;

  // From now on Start refuses and Ready says why; what runs goes on.
  void Drain();

 private:
  absl::Status CheckModel(const std::string& name) const;
  // OK if a request could be judged and sent now.
  absl::Status CheckUpstream(const SchedulerState& state) const;
  absl::StatusOr<StartedRequest> Prepare(Request& request, MonotonicTime arrived);

  const std::shared_ptr<const Model> model_;
  const ModelServiceOptions options_;
  Upstream& upstream_;
  GatewayMetrics& metrics_;
  std::atomic<bool> draining_{false};
  WorkPool pool_;  // last: its tasks use all of the above
};

}  // namespace weft::gateway
