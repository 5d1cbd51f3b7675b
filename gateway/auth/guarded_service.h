// A Service in front of another that keeps to what a request's key may do: models out of its
// scope are forbidden, and what it uses is charged as it is used. Every codec passes here.
//
// With `requires_permit` a request without one is refused: a codec that forgot to ask for a key
// lets nobody in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gateway/inference/service.h"

namespace weft::auth {

class GuardedService final : public gateway::Service {
 public:
  // `service` outlives it.
  GuardedService(gateway::Service& service, bool requires_permit)
      : service_(service), requires_permit_(requires_permit) {}

  void Start(gateway::Request request,
             std::function<void(absl::StatusOr<gateway::StartedRequest>)> done) override;
  absl::StatusOr<std::vector<text::TokenId>> Tokenize(
      const gateway::Request& request) const override;

  // These name no request: who calls them asks Caller what may be seen.
  std::vector<gateway::ModelInfo> Models() const override { return service_.Models(); }
  absl::StatusOr<std::string> Detokenize(const std::string& model,
                                         const std::vector<int64_t>& tokens) const override {
    return service_.Detokenize(model, tokens);
  }
  std::string TokenText(const std::string& model, text::TokenId id) const override {
    return service_.TokenText(model, id);
  }
  absl::StatusOr<std::string> TokenizerInfo(const std::string& model) const override {
    return service_.TokenizerInfo(model);
  }
  absl::Status Ready() const override { return service_.Ready(); }

 private:
  absl::Status Resolve(gateway::Request& request) const;

  gateway::Service& service_;
  const bool requires_permit_;
};

}  // namespace weft::auth
