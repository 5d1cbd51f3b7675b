#include "gateway/auth/access.h"

#include <spdlog/spdlog.h>

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gateway/auth/key_file.h"
#include "gateway/inference/service.h"

namespace weft::auth {
namespace {

// Further tenants are counted together: labels must stay few.
constexpr size_t kMaxTenantLabels = 100;

const char* Name(Limit limit) {
  switch (limit) {
    case Limit::kRequests:
      return "requests";
    case Limit::kTokens:
      return "tokens";
    case Limit::kConcurrency:
      break;
  }
  return "concurrency";
}

prometheus::Counter& Reloads(Metrics& metrics, const char* result) {
  return metrics.Counter("weft_gateway_api_key_reloads_total",
                         "Changes of --api-key-file; error: the keys before it stay",
                         {{"result", result}});
}

prometheus::Counter& Failures(Metrics& metrics, const char* reason) {
  return metrics.Counter("weft_gateway_auth_failures_total",
                         "Requests that brought no API key, or a wrong one", {{"reason", reason}});
}

prometheus::Counter& Limited(Metrics& metrics, const std::string& tenant, const char* limit) {
  return metrics.Counter("weft_gateway_limited_total",
                         "Requests refused by a limit of their API key",
                         {{"tenant", tenant}, {"limit", limit}});
}

// Of all tenants that have no label of their own.
constexpr char kOtherTenant[] = "other";

}  // namespace

Access::Access(AccessOptions options, Metrics& metrics, Clock clock)
    : options_(std::move(options)),
      is_open_(options_.api_keys.empty() && options_.api_key_file.empty()),
      clock_(std::move(clock)),
      metrics_(metrics),
      num_keys_(metrics.Gauge("weft_gateway_api_keys", "API keys that are let in")),
      reloads_(Reloads(metrics, "ok")),
      failed_reloads_(Reloads(metrics, "error")),
      callers_(std::make_shared<const Callers>()) {
  // A counter that appears with its first event has no increase that a rule could see.
  for (const char* reason : {"missing", "malformed", "unknown"}) Failures(metrics, reason);
  for (const Limit limit : {Limit::kRequests, Limit::kTokens, Limit::kConcurrency}) {
    Limited(metrics, kOtherTenant, Name(limit));
  }
}

absl::StatusOr<std::unique_ptr<Access>> Access::Start(const AccessOptions& options,
                                                      Metrics& metrics, Clock clock) {
  std::unique_ptr<Access> access(new Access(options, metrics, std::move(clock)));
  if (absl::Status status = access->LoadFixed(); !status.ok()) return status;
  if (!options.api_key_file.empty()) {
    auto watcher = std::make_unique<FileWatcher>(
        std::vector<std::string>{options.api_key_file},
        [access = access.get()] { access->Reload(); }, options.reload_interval);
    if (absl::Status status = access->LoadFile(); !status.ok()) return status;
    access->watcher_ = std::move(watcher);
  }
  if (!access->is_open()) spdlog::info("{} API keys are let in", access->callers()->size());
  return access;
}

absl::Status Access::LoadFixed() {
  int number = 0;
  for (const std::string& list : options_.api_keys) {
    const std::vector<std::string> keys = absl::StrSplit(list, ',');
    for (const std::string& key : keys) {
      if (absl::Status status = ValidateApiKey(key); !status.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("--api-key: ", status.message()));
      }
      fixed_.push_back(
          MakeCaller({.name = absl::StrCat("--api-key ", ++number), .hash = KeyHash::Of(key)},
                     std::make_shared<Meter>()));
    }
  }
  std::lock_guard lock(mutex_);
  callers_ = std::make_shared<const Callers>(fixed_);
  num_keys_.Set(static_cast<double>(callers_->size()));
  return absl::OkStatus();
}

absl::Status Access::LoadFile() {
  absl::StatusOr<std::vector<KeyEntry>> entries = LoadKeyFile(options_.api_key_file);
  if (!entries.ok()) {
    return absl::Status(entries.status().code(),
                        absl::StrCat("--api-key-file: ", entries.status().message()));
  }
  std::map<std::string, std::shared_ptr<Meter>> meters;
  for (const auto& known : *callers()) meters[known->entry().hash.ToString()] = known->meter();
  auto callers = std::make_shared<Callers>(fixed_);
  for (KeyEntry& entry : *entries) {
    std::shared_ptr<Meter>& meter = meters[entry.hash.ToString()];
    if (meter == nullptr) meter = std::make_shared<Meter>();
    callers->push_back(MakeCaller(std::move(entry), meter));
  }
  num_keys_.Set(static_cast<double>(callers->size()));
  std::lock_guard lock(mutex_);
  callers_ = std::move(callers);
  return absl::OkStatus();
}

void Access::Reload() {
  if (absl::Status status = LoadFile(); !status.ok()) {
    failed_reloads_.Increment();
    spdlog::error("{}; the {} keys before it stay", std::string(status.message()),
                  callers()->size());
    return;
  }
  reloads_.Increment();
  spdlog::info("--api-key-file has changed: {} API keys are let in", callers()->size());
}

std::shared_ptr<const Caller> Access::MakeCaller(KeyEntry entry,
                                                 std::shared_ptr<Meter> meter) const {
  return std::make_shared<const Caller>(
      std::move(entry), std::move(meter), clock_,
      [this](const Caller& caller, Limit limit) { CountRefused(caller, limit); });
}

std::shared_ptr<const Access::Callers> Access::callers() const {
  std::lock_guard lock(mutex_);
  return callers_;
}

absl::StatusOr<std::shared_ptr<const Caller>> Access::Identify(std::string_view authorization,
                                                               std::string_view api_key) const {
  if (is_open_) return nullptr;
  constexpr absl::string_view kScheme = "Bearer ";
  const absl::string_view header(authorization.data(), authorization.size());
  absl::string_view key(api_key.data(), api_key.size());
  if (!header.empty()) {
    if (!absl::StartsWithIgnoreCase(header, kScheme)) {
      return Denied("malformed",
                    "The Authorization header must be `Bearer` and an API key, apart by a space.");
    }
    key = header.substr(kScheme.size());
  }
  key = absl::StripAsciiWhitespace(key);
  if (key.empty()) {
    return Denied("missing",
                  "You didn't provide an API key. Send one in an Authorization header: "
                  "`Authorization: Bearer YOUR_KEY`.");
  }
  // Every key is compared, and each in constant time: how long this takes says nothing.
  const KeyHash hash = KeyHash::Of({key.data(), key.size()});
  const std::shared_ptr<const Callers> all = callers();
  const std::shared_ptr<const Caller>* found = nullptr;
  for (const auto& caller : *all) {
    if (caller->entry().hash == hash) found = &caller;
  }
  if (found == nullptr) return Denied("unknown", "Incorrect API key provided.");
  return *found;
}

absl::Status Access::Denied(const char* reason, std::string message) const {
  Failures(metrics_, reason).Increment();
  absl::Status status = absl::UnauthenticatedError(std::move(message));
  status.SetPayload(gateway::kCodePayload, absl::Cord("invalid_api_key"));
  return status;
}

void Access::CountRefused(const Caller& caller, Limit limit) const {
  std::string tenant = caller.entry().tenant.value_or("");
  {
    std::lock_guard lock(mutex_);
    if (labelled_tenants_.size() < kMaxTenantLabels) labelled_tenants_.insert(tenant);
    if (!labelled_tenants_.contains(tenant)) tenant = kOtherTenant;
  }
  Limited(metrics_, tenant, Name(limit)).Increment();
}

}  // namespace weft::auth
