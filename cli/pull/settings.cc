#include "cli/pull/settings.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/json_fields.h"

namespace weft::pull {
namespace {

// Without the blanks around it, which a Secret's line end may be.
std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : std::string(absl::StripAsciiWhitespace(value));
}

std::string Or(std::string value, const std::string& fallback) {
  return value.empty() ? fallback : value;
}

bool IsTrue(const std::string& value) {
  for (const char* word : {"1", "true", "yes", "on"}) {
    if (absl::EqualsIgnoreCase(value, word)) return true;
  }
  return false;
}

}  // namespace

HubSettings SettingsFromEnvironment() {
  HubSettings settings;
  const std::string user_cache = Or(Variable("XDG_CACHE_HOME"), Variable("HOME") + "/.cache");
  const std::string home = Or(Variable("HF_HOME"), user_cache + "/huggingface");
  settings.cache = Or(Variable("HF_HUB_CACHE"), home + "/hub");
  settings.endpoint = Or(Variable("HF_ENDPOINT"), settings.endpoint);
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  settings.token = Variable("HF_TOKEN");
  if (settings.token.empty()) {
    constexpr int64_t kMaxBytes = 4096;
    const auto file = ReadFile(Or(Variable("HF_TOKEN_PATH"), home + "/token"), kMaxBytes);
    if (file.ok()) settings.token = std::string(absl::StripAsciiWhitespace(*file));
  }
  settings.is_offline = IsTrue(Variable("HF_HUB_OFFLINE"));
  return settings;
}

}  // namespace weft::pull
