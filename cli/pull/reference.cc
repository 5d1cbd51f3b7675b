#include "cli/pull/reference.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft::pull {
namespace {

// The hub's own rules.
bool IsName(const std::string& text) {
  constexpr size_t kMaxLength = 96;
  const auto is_word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  return !text.empty() && text.size() <= kMaxLength && is_word(text.front()) &&
         is_word(text.back()) && text.find("--") == std::string::npos &&
         text.find("..") == std::string::npos && std::all_of(text.begin(), text.end(), [&](char c) {
           return is_word(c) || c == '-' || c == '.';
         });
}

// It becomes the path of a file below refs/.
bool IsRevision(const std::string& text) {
  constexpr size_t kMaxLength = 250;
  if (text.empty() || text.size() > kMaxLength) return false;
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  for (const std::string& part : parts) {
    if (part.empty() || part[0] == '.') return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '\\';
  });
}

}  // namespace

absl::StatusOr<ModelReference> ParseReference(const std::string& text) {
  const auto refuse = [&](const char* cause) {
    return absl::InvalidArgumentError(
        absl::StrCat(text, ": ", cause, "; a model of the hub is hf://owner/name[@revision]"));
  };
  std::string rest(absl::StripPrefix(text, "hf://"));
  ModelReference reference;
  if (const size_t at = rest.find('@'); at != std::string::npos) {
    reference.revision = rest.substr(at + 1);
    rest.resize(at);
  }
  const std::vector<std::string> names = absl::StrSplit(rest, '/');
  if (names.size() != 2 || !IsName(names[0]) || !IsName(names[1])) {
    return refuse("it is no owner and name");
  }
  if (!IsRevision(reference.revision)) return refuse("it names no revision that there can be");
  reference.repo = rest;
  return reference;
}

bool IsCommit(const std::string& revision) {
  return revision.size() == 40 && std::all_of(revision.begin(), revision.end(), [](char c) {
           return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f');
         });
}

}  // namespace weft::pull
