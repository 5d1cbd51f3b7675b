#include "cli/pull/hub.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/json_fields.h"

namespace weft::pull {
namespace {

namespace json = boost::json;

constexpr int64_t kMaxFileBytes = int64_t{1} << 46;

// Of a path's segment; slashes are kept apart by the caller.
std::string UrlEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += absl::StrFormat("%%%02X", byte);
    }
  }
  return encoded;
}

bool LeavesItsFolder(const std::string& name) {
  if (name.find('\0') != std::string::npos || name.find('\\') != std::string::npos) {
    return true;
  }
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part.empty() || part == "." || part == "..";
  });
}

bool IsShard(const std::string& name) {
  return name.ends_with(".safetensors") && name[0] != '.' && name.find('/') == std::string::npos &&
         !LeavesItsFolder(name);
}

bool IsRead(const std::string& name) {
  return std::find(std::begin(kTextFiles), std::end(kTextFiles), name) != std::end(kTextFiles) ||
         name == kIndexFile || IsShard(name);
}

}  // namespace

std::string ListingUrl(const std::string& endpoint, const ModelReference& reference) {
  return absl::StrCat(endpoint, "/api/models/", reference.repo, "/revision/",
                      UrlEncode(reference.revision), "?blobs=true");
}

std::string FileUrl(const std::string& endpoint, const std::string& repo, const std::string& commit,
                    const std::string& name) {
  return absl::StrCat(endpoint, "/", repo, "/resolve/", commit, "/", UrlEncode(name));
}

const HubFile* Listing::Find(const std::string& name) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const HubFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

absl::StatusOr<Listing> ParseListing(std::string_view text) {
  const auto refuse = [](auto... what) {
    return absl::DataLossError(absl::StrCat("the hub's list of files ", what...));
  };
  const auto object = ParseJsonObject(text);
  if (!object.ok()) return refuse("is not the JSON of a hub");
  JsonFields fields("", *object);
  Listing listing{.commit = fields.String("sha", ""), .files = {}};
  if (!IsCommit(listing.commit)) return refuse("names no commit");
  const json::value* siblings = fields.Find("siblings");
  if (siblings == nullptr || !siblings->is_array()) return refuse("has no siblings");
  for (const json::value& sibling : siblings->get_array()) {
    if (!sibling.is_object()) return refuse("is not the JSON of a hub");
    JsonFields entry("", sibling.get_object());
    HubFile file{.name = entry.String("rfilename", ""), .size = 0, .digest = {}};
    if (LeavesItsFolder(file.name)) {
      return refuse("has the name \"", absl::CHexEscape(file.name), "\", which leaves its folder");
    }
    if (!IsRead(file.name)) continue;
    const json::value* lfs = entry.Find("lfs");
    if (lfs != nullptr && lfs->is_object()) {
      entry = JsonFields("", lfs->get_object());
      file.digest = {.kind = Digest::Kind::kSha256, .hex = entry.String("sha256", "")};
    } else {
      file.digest = {.kind = Digest::Kind::kGitBlob, .hex = entry.String("blobId", "")};
    }
    file.size = entry.Int("size", {.min = 0, .max = kMaxFileBytes});
    if (!entry.status().ok() || !IsWellFormed(file.digest)) {
      return refuse("gives no size and checksum of ", file.name);
    }
    listing.files.push_back(std::move(file));
  }
  return listing;
}

absl::StatusOr<std::vector<std::string>> ParseIndex(std::string_view text) {
  const auto refuse = [](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat(kIndexFile, ": ", what...));
  };
  const auto object = ParseJsonObject(text);
  if (!object.ok()) return refuse(object.status().message());
  const json::value* map = object->if_contains("weight_map");
  if (map == nullptr || !map->is_object()) return refuse("weight_map must be an object");
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map->get_object()) {
    if (!file.is_string()) return refuse("weight_map must name files");
    const std::string name(file.get_string());
    if (!IsShard(name)) {
      return refuse("\"", absl::CHexEscape(name), "\" is no safetensors file of its folder");
    }
    shards.insert(name);
  }
  return std::vector<std::string>(shards.begin(), shards.end());
}

}  // namespace weft::pull
