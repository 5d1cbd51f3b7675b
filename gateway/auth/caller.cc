#include "gateway/auth/caller.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gateway/inference/param_error.h"

namespace weft::auth {
namespace {

using std::chrono::milliseconds;

std::string Describe(const Meter::Refusal& refusal, const KeyLimits& limits) {
  const double seconds = static_cast<double>(refusal.retry_after.count()) / 1000;
  switch (refusal.limit) {
    case Limit::kRequests:
      return absl::StrFormat(
          "Rate limit reached: this API key may make %d requests per minute. Please try again in "
          "%.3gs.",
          limits.requests_per_minute, seconds);
    case Limit::kTokens:
      return absl::StrFormat(
          "Rate limit reached: this API key may use %d tokens per minute, of prompts and answers. "
          "Please try again in %.3gs.",
          limits.tokens_per_minute, seconds);
    case Limit::kConcurrency:
      break;
  }
  return absl::StrFormat(
      "Rate limit reached: this API key may have %d requests running at one time. Please try "
      "again when one has ended.",
      limits.concurrent_requests);
}

std::string Names(const std::vector<gateway::ModelInfo>& models) {
  return absl::StrJoin(models, ", ", [](std::string* out, const auto& one) {
    absl::StrAppend(out, "`", one.id, "`");
  });
}

// OpenAI's: "1s", "6m0s", "20ms".
std::string FormatReset(milliseconds time) {
  const int64_t ms = time.count();
  if (ms < 1000) return absl::StrCat(ms, "ms");
  const int64_t seconds = (ms + 999) / 1000;
  if (seconds < 60) return absl::StrCat(seconds, "s");
  return absl::StrCat(seconds / 60, "m", seconds % 60, "s");
}

void AppendBudget(std::string& out, const char* what, int64_t limit, const Meter::Budget& budget) {
  absl::StrAppend(&out, "x-ratelimit-limit-", what, ": ", limit, "\r\n");
  absl::StrAppend(&out, "x-ratelimit-remaining-", what, ": ", budget.remaining, "\r\n");
  absl::StrAppend(&out, "x-ratelimit-reset-", what, ": ", FormatReset(budget.reset), "\r\n");
}

}  // namespace

Caller::Caller(KeyEntry entry, std::shared_ptr<Meter> meter, Clock clock, OnRefused refused)
    : entry_(std::move(entry)),
      meter_(std::move(meter)),
      clock_(std::move(clock)),
      refused_(std::move(refused)) {}

absl::StatusOr<std::shared_ptr<Permit>> Caller::Enter() const {
  const auto refusal = meter_->Enter(entry_.limits, clock_());
  if (!refusal) return std::make_shared<Permit>(shared_from_this());
  refused_(*this, refusal->limit);
  absl::Status status = absl::ResourceExhaustedError(Describe(*refusal, entry_.limits));
  status.SetPayload(gateway::kCodePayload, absl::Cord("rate_limit_exceeded"));
  status.SetPayload(gateway::kRetryAfterPayload,
                    absl::Cord(absl::StrCat(refusal->retry_after.count())));
  return status;
}

std::vector<gateway::ModelInfo> Caller::Visible(std::vector<gateway::ModelInfo> models) const {
  if (entry_.models.empty()) return models;
  std::erase_if(models, [this](const gateway::ModelInfo& model) {
    return std::find(entry_.models.begin(), entry_.models.end(), model.id) == entry_.models.end();
  });
  return models;
}

absl::Status Caller::ResolveModel(const gateway::Service& service, std::string& model) const {
  if (entry_.models.empty()) return absl::OkStatus();
  const std::vector<gateway::ModelInfo> visible = Visible(service.Models());
  if (model.empty() && !visible.empty()) {
    const bool are_one = std::all_of(visible.begin(), visible.end(), [&](const auto& one) {
      return one.root == visible.front().root;
    });
    if (are_one) {
      model = visible.front().id;
      return absl::OkStatus();
    }
    return gateway::ParamError(
        "model", absl::StrCat("model is required: this API key has ", Names(visible), "."));
  }
  for (const gateway::ModelInfo& one : visible) {
    if (one.id == model) return absl::OkStatus();
  }
  // In the same words for a model that is not there at all: a key learns nothing of others'.
  absl::Status status = absl::PermissionDeniedError(
      visible.empty() ? "This API key has none of the models that are served here."
                      : absl::StrCat("This API key has no access to the model `",
                                     absl::string_view(model).substr(0, 100), "`: it has ",
                                     Names(visible), "."));
  status.SetPayload(gateway::kParamPayload, absl::Cord("model"));
  status.SetPayload(gateway::kCodePayload, absl::Cord("model_not_found"));
  return status;
}

std::string Caller::RateLimitHeaders() const {
  const KeyLimits& limits = entry_.limits;
  std::string lines;
  if (limits.requests_per_minute > 0) {
    AppendBudget(lines, "requests", limits.requests_per_minute, meter_->Requests(limits, clock_()));
  }
  if (limits.tokens_per_minute > 0) {
    AppendBudget(lines, "tokens", limits.tokens_per_minute, meter_->Tokens(limits, clock_()));
  }
  return lines;
}

}  // namespace weft::auth
