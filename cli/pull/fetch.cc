#include "cli/pull/fetch.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/pull/backoff.h"
#include "cli/pull/cache.h"
#include "cli/pull/download.h"
#include "cli/pull/exchange.h"
#include "cli/pull/hub.h"
#include "cli/pull/materialize.h"
#include "cli/pull/progress.h"
#include "common/json_fields.h"

namespace weft::pull {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(100);
constexpr int64_t kMaxIndexBytes = 64 << 20;

class Fetcher {
 public:
  Fetcher(const FetchOptions& options, const HubSettings& settings,
          const cli::Interrupts& interrupts)
      : options_(options),
        settings_(settings),
        interrupts_(interrupts),
        cache_(settings.cache, options.reference.repo) {}

  absl::StatusOr<std::string> Run() {
    absl::StatusOr<std::string> snapshot = settings_.is_offline ? FromCache() : FromHub();
    if (!snapshot.ok() || options_.to.empty()) return snapshot;
    if (auto s = Materialize(*snapshot, names_, options_.to); !s.ok()) return s;
    return snapshot;
  }

 private:
  const ModelReference& reference() const { return options_.reference; }

  absl::StatusOr<std::string> FromHub() {
    absl::StatusOr<Listing> listing = Ask();
    if (absl::IsUnavailable(listing.status())) {
      const auto cached = FromCache();
      if (!cached.ok()) return listing.status();
      progress_.Say(absl::StrCat(listing.status().message(), "; the cache's copy is taken"));
      return cached;
    }
    if (!listing.ok()) return listing.status();
    listing_ = *std::move(listing);
    progress_.Say(absl::StrCat(reference().ToString(), " is commit ", listing_.commit));

    std::vector<HubFile> files;
    for (const char* name : kTextFiles) {
      if (const HubFile* file = listing_.Find(name)) files.push_back(*file);
    }
    for (const char* name : kRequiredFiles) {
      if (listing_.Find(name) == nullptr) return Lacks(name);
    }
    const HubFile* const weights = listing_.Find(kWeightsFile);
    const HubFile* const index = weights != nullptr ? nullptr : listing_.Find(kIndexFile);
    if (!options_.tokenizer_only) {
      if (weights == nullptr && index == nullptr) return Lacks(kWeightsFile);
      files.push_back(weights != nullptr ? *weights : *index);
    }
    if (auto s = Bring(files); !s.ok()) return s;
    if (!options_.tokenizer_only && index != nullptr) {
      absl::StatusOr<std::vector<HubFile>> shards = Shards(*index);
      if (!shards.ok()) return shards.status();
      if (auto s = Bring(*shards); !s.ok()) return s;
      files.insert(files.end(), shards->begin(), shards->end());
    }
    return Publish(files);
  }

  // Links, then the ref: whoever finds the ref finds the whole.
  absl::StatusOr<std::string> Publish(const std::vector<HubFile>& files) {
    for (const HubFile& file : files) {
      if (auto s = cache_.Link(listing_.commit, file); !s.ok()) return s;
      names_.push_back(file.name);
    }
    if (!IsCommit(reference().revision)) {
      if (auto s = cache_.WriteRef(reference().revision, listing_.commit); !s.ok()) return s;
    }
    return cache_.SnapshotPath(listing_.commit);
  }

  absl::Status Lacks(const std::string& name) const {
    return absl::FailedPreconditionError(
        absl::StrCat(reference().ToString(), " has no ", name, ", which Weft reads",
                     name == kWeightsFile ? absl::StrCat(", nor ", kIndexFile) : ""));
  }

  absl::StatusOr<std::string> FromCache() {
    const auto lacks = [&](const std::string& what) {
      return absl::NotFoundError(
          absl::StrCat(reference().ToString(), ": the cache in ", settings_.cache, " has no ", what,
                       settings_.is_offline ? ", and HF_HUB_OFFLINE is set" : ""));
    };
    const std::optional<std::string> commit = cache_.ReadRef(reference().revision);
    if (!commit) return lacks("such revision");
    const std::string snapshot = cache_.SnapshotPath(*commit);
    const std::string missing = MissingFile(snapshot, !options_.tokenizer_only);
    if (!missing.empty()) return lacks(absl::StrCat(missing, " of it"));
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(snapshot, error)) {
      const std::string name = entry.path().filename().string();
      const bool is_weights = name == kIndexFile || name.ends_with(".safetensors");
      const bool is_text =
          std::find(std::begin(kTextFiles), std::end(kTextFiles), name) != std::end(kTextFiles);
      if (is_text || (is_weights && !options_.tokenizer_only)) names_.push_back(name);
    }
    return snapshot;
  }

  absl::StatusOr<Listing> Ask() {
    constexpr size_t kMaxBytes = 64 << 20;
    Backoff backoff;
    while (true) {
      std::string body;
      const Exchange exchange(settings_, ListingUrl(settings_.endpoint, reference()),
                              [&](const Exchange&, std::string_view bytes) {
                                body += bytes;
                                return body.size() <= kMaxBytes
                                           ? absl::OkStatus()
                                           : absl::DataLossError("the hub's list has no end");
                              });
      curl_easy_setopt(exchange.curl(), CURLOPT_NOPROGRESS, 0L);
      curl_easy_setopt(exchange.curl(), CURLOPT_XFERINFODATA, &interrupts_);
      curl_easy_setopt(
          exchange.curl(), CURLOPT_XFERINFOFUNCTION,
          +[](void* interrupts, curl_off_t, curl_off_t, curl_off_t, curl_off_t) -> int {
            return static_cast<const cli::Interrupts*>(interrupts)->signal();
          });
      const CURLcode code = curl_easy_perform(exchange.curl());
      if (interrupts_.signal() != 0) return absl::CancelledError("interrupted");
      const absl::Status outcome = exchange.Outcome(code, reference());
      if (outcome.ok()) return ParseListing(body);
      if (auto s = backoff.OnFailure(outcome, exchange.retry_after(), absl::Now()); !s.ok()) {
        return s;
      }
      progress_.Say(absl::StrFormat("%s; trying again in %.1f s", std::string(outcome.message()),
                                    absl::ToDoubleSeconds(backoff.next_try() - absl::Now())));
      while (absl::Now() < backoff.next_try() && interrupts_.signal() == 0) absl::SleepFor(kPoll);
      if (interrupts_.signal() != 0) return absl::CancelledError("interrupted");
    }
  }

  absl::StatusOr<std::vector<HubFile>> Shards(const HubFile& index) const {
    std::string path = cache_.BlobPath(index.digest);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      path = absl::StrCat(cache_.SnapshotPath(listing_.commit), "/", index.name);
    }
    const auto text = ReadFile(path, kMaxIndexBytes);
    if (!text.ok()) return text.status();
    const auto names = ParseIndex(*text);
    if (!names.ok()) return names.status();
    std::vector<HubFile> shards;
    for (const std::string& name : *names) {
      const HubFile* const file = listing_.Find(name);
      if (file == nullptr) return Lacks(name);
      shards.push_back(*file);
    }
    return shards;
  }

  // Into the cache, what is not there.
  absl::Status Bring(const std::vector<HubFile>& files) {
    if (auto s = CheckSpaceOfFolder(files); !s.ok()) return s;
    // Ordered by digest, each once: locks are taken in that order by everybody.
    std::map<std::string, HubFile> missing;
    for (const HubFile& file : files) {
      if (!cache_.Has(listing_.commit, file)) missing.emplace(file.digest.hex, file);
    }
    if (missing.empty()) return absl::OkStatus();
    if (auto s = cache_.Prepare(); !s.ok()) return s;
    std::vector<BlobLock> locks;
    std::vector<Wanted> wanted;
    int64_t num_needed = 0;
    for (const auto& [hex, file] : missing) {
      absl::StatusOr<BlobLock> lock = Lock(file);
      if (!lock.ok()) return lock.status();
      if (cache_.Has(listing_.commit, file)) continue;  // another process brought it
      locks.push_back(*std::move(lock));
      absl::StatusOr<PartialFile> partial =
          PartialFile::Open(cache_.PartialPath(file.digest), file.size);
      if (!partial.ok()) return partial.status();
      num_needed += file.size - partial->num_present();
      wanted.push_back(
          {.file = file,
           .url = FileUrl(settings_.endpoint, reference().repo, listing_.commit, file.name),
           .partial = *std::move(partial),
           .path = cache_.BlobPath(file.digest)});
    }
    if (auto s = CheckSpace(settings_.cache, num_needed); !s.ok()) return s;
    return Download(std::move(wanted), settings_, reference(), interrupts_, progress_);
  }

  absl::Status CheckSpaceOfFolder(const std::vector<HubFile>& files) const {
    if (options_.to.empty() || AreOnOneFileSystem(options_.to, settings_.cache)) {
      return absl::OkStatus();
    }
    int64_t num_needed = 0;
    for (const HubFile& file : files) {
      std::error_code error;
      const auto path = std::filesystem::path(options_.to) / file.name;
      if (!std::filesystem::exists(path, error)) num_needed += file.size;
    }
    return CheckSpace(options_.to, num_needed);
  }

  absl::StatusOr<BlobLock> Lock(const HubFile& file) {
    bool was_told = false;
    while (true) {
      absl::StatusOr<std::optional<BlobLock>> lock =
          BlobLock::TryTake(cache_.LockPath(file.digest));
      if (!lock.ok()) return lock.status();
      if (lock->has_value()) return *std::move(*lock);
      if (!was_told) {
        progress_.Say(absl::StrCat(file.name, ": another process downloads it; waiting"));
        was_told = true;
      }
      if (interrupts_.signal() != 0) return absl::CancelledError("interrupted");
      absl::SleepFor(kPoll);
    }
  }

  const FetchOptions& options_;
  const HubSettings& settings_;
  const cli::Interrupts& interrupts_;
  const RepoCache cache_;
  Progress progress_;
  Listing listing_;
  std::vector<std::string> names_;  // of the snapshot's files that Weft reads
};

}  // namespace

absl::StatusOr<std::string> Fetch(const FetchOptions& options, const HubSettings& settings,
                                  const cli::Interrupts& interrupts) {
  return Fetcher(options, settings, interrupts).Run();
}

}  // namespace weft::pull
