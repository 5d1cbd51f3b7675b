// The Service of several groups: a request goes by its model, then by load, then by prefix.
// A group that is down fails its own model's requests only.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/metrics.h"
#include "gateway/inference/model_service.h"
#include "gateway/inference/service.h"

namespace weft::gateway {

class ModelRouter final : public Service {
 public:
  // At least one, which may serve models of the same name. `metrics` outlives the router.
  ModelRouter(std::vector<std::unique_ptr<ModelService>> groups, Metrics& metrics);

  // A request that names no model is for the only one there is.
  void Start(Request request, std::function<void(absl::StatusOr<StartedRequest>)> done) override;
  // Each name once, those of the first group first.
  std::vector<ModelInfo> Models() const override;
  absl::StatusOr<std::vector<text::TokenId>> Tokenize(const Request& request) const override;
  absl::StatusOr<std::string> Detokenize(const std::string& model,
                                         const std::vector<int64_t>& tokens) const override;
  std::string TokenText(const std::string& model, text::TokenId id) const override;
  absl::StatusOr<std::string> TokenizerInfo(const std::string& model) const override;
  // OK when some model's requests would be served.
  absl::Status Ready() const override;

  // From now on Ready says that it drains. Requests are taken all the same, until Drain.
  void AnnounceDrain();
  // From now on Start refuses; what runs goes on.
  void Drain();

 private:
  // All that serve it. NotFound if there is none; InvalidArgument if none is named and there
  // are several to choose from.
  absl::StatusOr<std::vector<ModelService*>> Serving(const std::string& model) const;
  // "`a`, `b`": the first of each group, once.
  std::string Names() const;

  const std::vector<std::unique_ptr<ModelService>> groups_;
  Metrics& metrics_;
  std::atomic<bool> is_leaving_{false};
  prometheus::Gauge& draining_;
};

}  // namespace weft::gateway
