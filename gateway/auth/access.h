// Whose request this is: the keys of --api-key and --api-key-file, and what becomes of a
// request that brings none of them. Without either flag everybody is let in.
//
// The file is read again when it changes. A new file that is broken changes nothing: it is
// reported, and the old keys stay. A key keeps what it has used when its entry changes; what
// runs under a key that is gone runs on.
//
// A key of --api-key may do everything without limit, and says nothing of a tenant.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_watcher.h"
#include "common/metrics.h"
#include "gateway/auth/caller.h"

namespace weft {
class Flags;
}

namespace weft::auth {

struct AccessOptions {
  std::vector<std::string> api_keys;  // each one or several, apart by commas
  std::string api_key_file;           // empty: none
  std::chrono::milliseconds reload_interval = kFileWatchInterval;
};

// --api-key, --api-key-file.
void AddAccessFlags(Flags& flags, AccessOptions& options);

// Any thread. Outlives its callers and their permits.
class Access {
 public:
  // InvalidArgument, or what reading said, when the keys cannot be used. `metrics` outlives it.
  static absl::StatusOr<std::unique_ptr<Access>> Start(
      const AccessOptions& options, Metrics& metrics,
      Clock clock = [] { return std::chrono::steady_clock::now(); });

  // No key is configured, and none is asked for.
  bool is_open() const { return is_open_; }

  // `authorization`: the header's value, "Bearer KEY"; `api_key`: that of a header that holds
  // the key alone, as x-api-key. Either may be empty. Null if is_open. Unauthenticated, with
  // code invalid_api_key, for no key or a wrong one.
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(std::string_view authorization,
                                                         std::string_view api_key) const;

 private:
  using Callers = std::vector<std::shared_ptr<const Caller>>;

  Access(AccessOptions options, Metrics& metrics, Clock clock);
  absl::Status LoadFixed();
  absl::Status LoadFile();
  void Reload();
  std::shared_ptr<const Caller> MakeCaller(KeyEntry entry, std::shared_ptr<Meter> meter) const;
  std::shared_ptr<const Callers> callers() const;
  void CountRefused(const Caller& caller, Limit limit) const;
  absl::Status Denied(const char* reason, std::string message) const;

  const AccessOptions options_;
  const bool is_open_;
  const Clock clock_;
  Metrics& metrics_;
  prometheus::Gauge& num_keys_;
  prometheus::Counter& reloads_;
  prometheus::Counter& failed_reloads_;
  Callers fixed_;  // of --api-key

  mutable std::mutex mutex_;
  std::shared_ptr<const Callers> callers_;          // under mutex_: all of them
  mutable std::set<std::string> labelled_tenants_;  // under mutex_

  std::unique_ptr<FileWatcher> watcher_;  // last: it calls Reload
};

}  // namespace weft::auth
