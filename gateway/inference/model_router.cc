#include "gateway/inference/model_router.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gateway/inference/gateway_metrics.h"
#include "gateway/inference/param_error.h"

namespace weft::gateway {
namespace {

// What is alike so far shares a system prompt; further on conversations part.
constexpr size_t kPrefixBytes = 512;
// Groups whose load differs by no more are as good as each other: what they tell is some
// tenths of a second old.
constexpr double kEqualLoad = 2;

// FNV-1a: of every gateway the same.
class PrefixHash {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes.substr(0, kPrefixBytes - num_bytes_)) {
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
      ++num_bytes_;
    }
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
  size_t num_bytes_ = 0;
};

uint64_t HashPrefix(const Request& request) {
  PrefixHash hash;
  if (const auto* chat = std::get_if<ChatPrompt>(&request.prompt)) {
    for (const auto& message : chat->messages) hash.Add(message.content);
  } else if (const auto* text = std::get_if<TextPrompt>(&request.prompt)) {
    hash.Add(text->text);
  } else {
    const auto& tokens = std::get<TokenPrompt>(request.prompt).tokens;
    hash.Add({reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(tokens[0])});
  }
  return hash.value();
}

// Of a worker; those of a group that is down are out of reach.
double Load(const ModelService& group) {
  constexpr double kOutOfReach = 1e9;
  const SchedulerState state = group.state();
  if (!group.Ready().ok()) return kOutOfReach;
  return static_cast<double>(state.num_running + state.num_waiting) / state.num_ready_workers;
}

struct RouteDecision {
  ModelService* group;
  const char* reason;  // what decided
};

RouteDecision Choose(const std::vector<ModelService*>& groups, const Request& request) {
  if (groups.size() == 1) return {groups[0], "only"};
  std::vector<double> loads;
  for (const ModelService* group : groups) loads.push_back(Load(*group));
  const double least = *std::min_element(loads.begin(), loads.end());
  std::vector<ModelService*> best;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (loads[i] <= least + kEqualLoad) best.push_back(groups[i]);
  }
  if (best.size() == 1) return {best[0], "load"};
  return {best[HashPrefix(request) % best.size()], "prefix"};
}

prometheus::Counter& Decisions(Metrics& metrics, const std::string& model, const char* reason) {
  return metrics.Counter("weft_gateway_route_decisions_total",
                         "Requests by what decided about their group: the only one there is, "
                         "its load, or the prompt's beginning",
                         {{"model", model}, {"reason", reason}});
}

}  // namespace

ModelRouter::ModelRouter(std::vector<std::unique_ptr<ModelService>> groups, Metrics& metrics)
    : groups_(std::move(groups)),
      metrics_(metrics),
      draining_(metrics.Gauge("weft_gateway_draining", "1 from when it has been asked to drain")) {
  for (const auto& group : groups_) {
    for (const char* reason : {"only", "load", "prefix"}) {
      Decisions(metrics, group->model().names.front(), reason);
    }
  }
}

absl::StatusOr<std::vector<ModelService*>> ModelRouter::Serving(const std::string& model) const {
  std::vector<ModelService*> found;
  bool are_alike = true;
  for (const auto& group : groups_) {
    const std::vector<std::string>& names = group->model().names;
    are_alike &= names.front() == groups_.front()->model().names.front();
    if (model.empty() || std::find(names.begin(), names.end(), model) != names.end()) {
      found.push_back(group.get());
    }
  }
  if (model.empty() && !are_alike) {
    return ParamError("model", absl::StrCat("model is required: this server has ", Names(), "."));
  }
  if (!found.empty()) return found;
  absl::Status status = absl::NotFoundError(absl::StrFormat(
      "The model `%s` does not exist; this server has %s.", model.substr(0, 100), Names()));
  status.SetPayload(kParamPayload, absl::Cord("model"));
  status.SetPayload(kCodePayload, absl::Cord("model_not_found"));
  return status;
}

std::string ModelRouter::Names() const {
  std::vector<std::string> quoted;
  for (const auto& group : groups_) {
    std::string name = absl::StrCat("`", group->model().names.front(), "`");
    if (std::find(quoted.begin(), quoted.end(), name) == quoted.end()) {
      quoted.push_back(std::move(name));
    }
  }
  return absl::StrJoin(quoted, ", ");
}

void ModelRouter::Start(Request request, std::function<void(absl::StatusOr<StartedRequest>)> done) {
  const auto serving = Serving(request.model);
  if (!serving.ok()) {
    CountRejected(metrics_, /*model=*/"", serving.status());
    return done(serving.status());
  }
  const RouteDecision decision = Choose(*serving, request);
  Decisions(metrics_, decision.group->model().names.front(), decision.reason).Increment();
  decision.group->Start(std::move(request), std::move(done));
}

std::vector<ModelInfo> ModelRouter::Models() const {
  std::vector<ModelInfo> models;
  for (const auto& group : groups_) {
    for (ModelInfo& model : group->Models()) {
      const bool is_known = std::any_of(models.begin(), models.end(),
                                        [&](const ModelInfo& m) { return m.id == model.id; });
      if (!is_known) models.push_back(std::move(model));
    }
  }
  return models;
}

absl::StatusOr<std::vector<text::TokenId>> ModelRouter::Tokenize(const Request& request) const {
  const auto serving = Serving(request.model);
  if (!serving.ok()) return serving.status();
  return serving->front()->Tokenize(request);
}

absl::StatusOr<std::string> ModelRouter::Detokenize(const std::string& model,
                                                    const std::vector<int64_t>& tokens) const {
  const auto serving = Serving(model);
  if (!serving.ok()) return serving.status();
  return serving->front()->Detokenize(tokens);
}

std::string ModelRouter::TokenText(const std::string& model, text::TokenId id) const {
  const auto serving = Serving(model);
  return serving.ok() ? serving->front()->TokenText(id) : std::string();
}

absl::StatusOr<std::string> ModelRouter::TokenizerInfo(const std::string& model) const {
  const auto serving = Serving(model);
  if (!serving.ok()) return serving.status();
  return serving->front()->model().tokenizer_info;
}

absl::Status ModelRouter::Ready() const {
  if (is_leaving_) return absl::UnavailableError("The server is shutting down.");
  absl::Status first;
  for (const auto& group : groups_) {
    const absl::Status ready = group->Ready();
    if (ready.ok()) return ready;
    if (first.ok()) first = ready;
  }
  return first;
}

void ModelRouter::AnnounceDrain() {
  is_leaving_ = true;
  draining_.Set(1);
}

void ModelRouter::Drain() {
  AnnounceDrain();
  for (const auto& group : groups_) group->Drain();
}

}  // namespace weft::gateway
