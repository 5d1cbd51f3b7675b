// What the hub says of a model: its files at one commit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/pull/digest.h"
#include "cli/pull/reference.h"

namespace weft::pull {

struct HubFile {
  std::string name;  // as in the repository
  int64_t size = 0;
  Digest digest;
};

struct Listing {
  std::string commit;
  std::vector<HubFile> files;  // those that Weft may read: the others' names only matter elsewhere

  const HubFile* Find(const std::string& name) const;
};

// GET /api/models/{repo}/revision/{revision}?blobs=true
std::string ListingUrl(const std::string& endpoint, const ModelReference& reference);
// The file at a commit: what the listing's digest is of, whatever the branch has become.
std::string FileUrl(const std::string& endpoint, const std::string& repo, const std::string& commit,
                    const std::string& name);

// Refuses an answer whose commit, digests or names could leave the cache's folders: they become
// names of files. Files in folders, and kinds that Weft does not read, are left out.
absl::StatusOr<Listing> ParseListing(std::string_view json);

// The files that Weft reads besides weights: gateways need no more.
inline constexpr const char* kTextFiles[] = {"config.json", "generation_config.json",
                                             "tokenizer.json", "tokenizer_config.json",
                                             "chat_template.jinja"};
inline constexpr const char* kRequiredFiles[] = {"config.json", "tokenizer.json"};
inline constexpr const char* kWeightsFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";

// The shards that an index names, each once.
absl::StatusOr<std::vector<std::string>> ParseIndex(std::string_view json);

}  // namespace weft::pull
