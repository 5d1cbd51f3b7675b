#include "gateway/auth/key_file.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"
#include "gateway/inference/validate.h"

namespace weft::auth {
namespace {

namespace json = boost::json;

constexpr int64_t kMaxFileBytes = 16 << 20;
// Each request is compared with every key.
constexpr size_t kMaxKeys = 10'000;
constexpr int64_t kMaxLimit = int64_t{1} << 50;

constexpr std::array<std::string_view, 7> kFields = {"name",
                                                     "key",
                                                     "tenant",
                                                     "models",
                                                     "requests_per_minute",
                                                     "tokens_per_minute",
                                                     "max_concurrent_requests"};

std::vector<std::string> Models(JsonFields& fields) {
  std::vector<std::string> models;
  const json::value* found = fields.Find("models");
  if (found == nullptr) return models;
  const json::array* list = found->if_array();
  if (list != nullptr) {
    for (const json::value& model : *list) {
      if (model.is_string() && !model.get_string().empty()) {
        models.emplace_back(model.get_string().data(), model.get_string().size());
      }
    }
  }
  if (list == nullptr || list->empty() || models.size() != list->size()) {
    fields.Refuse("models", "must be a list of served names, with one at least");
  }
  return models;
}

absl::StatusOr<KeyEntry> ReadEntry(const std::string& source, const json::object& object) {
  JsonFields fields(source, object);
  for (const auto& field : object) {
    const std::string_view name(field.key().data(), field.key().size());
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      fields.Refuse(name, "is no field of a key");
    }
  }
  KeyEntry entry;
  entry.name = fields.String("name");
  entry.tenant = fields.String("tenant", entry.name);
  for (const char* field : {"name", "tenant"}) {
    const std::string& label = std::string_view(field) == "name" ? entry.name : *entry.tenant;
    if (label.empty() || !gateway::ValidateTenant(label).ok()) {
      fields.Refuse(field, absl::StrCat("must be 1 to ", gateway::kMaxTenantBytes,
                                        " visible ASCII characters"));
    }
  }
  const absl::StatusOr<KeyHash> hash = KeyHash::Parse(fields.String("key"));
  if (hash.ok()) {
    entry.hash = *hash;
  } else {
    fields.Refuse("key", std::string(hash.status().message()));
  }
  entry.models = Models(fields);
  const auto limit = [&fields](std::string_view name) {
    return fields.Has(name) ? fields.Int(name, {.min = 1, .max = kMaxLimit}) : 0;
  };
  entry.limits = {.requests_per_minute = limit("requests_per_minute"),
                  .tokens_per_minute = limit("tokens_per_minute"),
                  .concurrent_requests = limit("max_concurrent_requests")};
  if (!fields.status().ok()) return fields.status();
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<KeyEntry>> ParseKeyFile(const std::string& source,
                                                   std::string_view text) {
  absl::StatusOr<json::object> file = ParseJsonObject(text);
  if (!file.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": ", file.status().message()));
  }
  const json::value* found = file->if_contains("keys");
  const json::array* list = found == nullptr ? nullptr : found->if_array();
  if (list == nullptr || file->size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, R"(: must be {"keys": [...]} and nothing beside)"));
  }
  if (list->size() > kMaxKeys) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": holds ", list->size(),
                                                   " keys; at most ", kMaxKeys, " are allowed"));
  }
  std::vector<KeyEntry> entries;
  std::set<std::string> names, hashes;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string place = absl::StrCat(source, ": keys[", i, "]");
    const json::object* object = (*list)[i].if_object();
    if (object == nullptr) return absl::InvalidArgumentError(absl::StrCat(place, " is no object"));
    absl::StatusOr<KeyEntry> entry = ReadEntry(place, *object);
    if (!entry.ok()) return entry.status();
    if (!names.insert(entry->name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": there is another key of the name ", entry->name));
    }
    if (!hashes.insert(entry->hash.ToString()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": ", entry->name, " has the same key as another"));
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

absl::StatusOr<std::vector<KeyEntry>> LoadKeyFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  return ParseKeyFile(path, *text);
}

std::string FormatKeyEntry(const std::string& name, const std::string& tenant,
                           const KeyHash& hash) {
  json::object entry{{"name", name}, {"key", hash.ToString()}};
  if (!tenant.empty()) entry["tenant"] = tenant;
  return json::serialize(entry);
}

}  // namespace weft::auth
