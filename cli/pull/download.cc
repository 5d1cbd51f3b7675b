#include "cli/pull/download.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/pull/backoff.h"
#include "cli/pull/exchange.h"

namespace weft::pull {
namespace {

// What other tools of the hub open, too.
constexpr int kMaxConnections = 8;
// A file that is wrong so often is so at its source.
constexpr int kMaxMismatches = 3;
// Signals and checksums are looked at that often.
constexpr int kPollMs = 100;

using Hash = std::future<absl::StatusOr<std::string>>;

struct File {
  explicit File(Wanted wanted) : wanted(std::move(wanted)) {}

  //                pieces missing      none missing     right        wrong
  // downloading    -                   hashing
  // hashing                                             done         downloading, from nothing
  Wanted wanted;
  Backoff backoff;
  std::vector<bool> is_under_way = std::vector<bool>(wanted.partial.num_pieces());
  int num_under_way = 0;
  bool has_ranges = true;  // else it comes as a whole, or not
  Hash hash;               // valid: hashing
  int num_mismatches = 0;
  bool is_done = false;
};

struct Transfer {
  File* file = nullptr;
  int piece = 0;
  PartialFile::Range asked;
  int64_t position = 0;  // of the next byte
  std::unique_ptr<Exchange> exchange;
};

absl::Status About(const File& file, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(file.wanted.file.name, ": ", status.message()));
}

// The answer to a Range was the whole file.
absl::Status NoRanges() { return absl::OutOfRangeError("the server knows no ranges"); }

class Downloader {
 public:
  Downloader(std::vector<Wanted> files, const HubSettings& settings,
             const ModelReference& reference, const cli::Interrupts& interrupts, Progress& progress)
      : settings_(settings),
        reference_(reference),
        interrupts_(interrupts),
        progress_(progress),
        multi_(curl_multi_init()) {
    for (Wanted& wanted : files) files_.emplace_back(std::move(wanted));
  }

  ~Downloader() {
    stop_hashing_ = true;
    while (!transfers_.empty()) End(transfers_.begin());
    curl_multi_cleanup(multi_);
  }

  absl::Status Run() {
    int64_t num_bytes = 0;
    for (const File& file : files_) num_bytes += file.wanted.file.size;
    progress_.Begin(num_bytes, num_present());
    while (std::any_of(files_.begin(), files_.end(), [](const File& f) { return !f.is_done; })) {
      if (interrupts_.signal() != 0) return absl::CancelledError("interrupted");
      for (File& file : files_) {
        if (auto s = Advance(file); !s.ok()) return About(file, s);
      }
      int num_running = 0;
      curl_multi_perform(multi_, &num_running);
      if (auto s = HearEndings(); !s.ok()) return s;
      progress_.Set(num_present());
      progress_.Show();
      curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
    }
    return absl::OkStatus();
  }

 private:
  using Transfers = std::list<Transfer>;

  int64_t num_present() const {
    int64_t sum = 0;
    for (const File& file : files_) sum += file.wanted.partial.num_present();
    return sum;
  }

  absl::Status Advance(File& file) {
    if (file.is_done) return absl::OkStatus();
    if (file.hash.valid()) return HearHash(file);
    if (file.wanted.partial.IsComplete() && file.num_under_way == 0) {
      StartHash(file);
      return absl::OkStatus();
    }
    if (file.backoff.next_try() > absl::Now()) return absl::OkStatus();
    if (!file.has_ranges) {
      if (file.num_under_way == 0) Start(file, 0, {0, file.wanted.file.size});
      return absl::OkStatus();
    }
    for (int piece = 0; piece < file.wanted.partial.num_pieces(); ++piece) {
      const PartialFile::Range missing = file.wanted.partial.Missing(piece);
      if (!file.is_under_way[piece] && missing.size() > 0) Start(file, piece, missing);
    }
    return absl::OkStatus();
  }

  // Unless all connections are taken.
  void Start(File& file, int piece, PartialFile::Range range) {
    if (transfers_.size() >= kMaxConnections) return;
    Transfer& transfer = transfers_.emplace_back();
    transfer = {
        .file = &file, .piece = piece, .asked = range, .position = range.begin, .exchange = {}};
    transfer.exchange = std::make_unique<Exchange>(
        settings_, file.wanted.url, [&transfer](const Exchange& exchange, std::string_view bytes) {
          return Take(transfer, exchange, bytes);
        });
    if (range.size() < file.wanted.file.size) {
      transfer.exchange->AskForRange(range.begin, range.end);
    }
    file.is_under_way[piece] = true;
    ++file.num_under_way;
    curl_multi_add_handle(multi_, transfer.exchange->curl());
  }

  void End(Transfers::iterator transfer) {
    curl_multi_remove_handle(multi_, transfer->exchange->curl());
    transfer->file->is_under_way[transfer->piece] = false;
    --transfer->file->num_under_way;
    transfers_.erase(transfer);
  }

  static absl::Status Take(Transfer& transfer, const Exchange& exchange, std::string_view bytes) {
    File& file = *transfer.file;
    const bool is_part = transfer.asked.size() < file.wanted.file.size;
    if (exchange.status() == 200 && is_part) return NoRanges();
    if (const auto range = exchange.content_range();
        range && (range->total != file.wanted.file.size || range->begin != transfer.asked.begin)) {
      return absl::DataLossError("the server's ranges are not those of the file in the hub's list");
    }
    if (static_cast<int64_t>(bytes.size()) > transfer.asked.end - transfer.position) {
      return absl::DataLossError("the server sends more than the hub's list says");
    }
    if (auto s = file.wanted.partial.Write(transfer.position, bytes); !s.ok()) return s;
    transfer.position += static_cast<int64_t>(bytes.size());
    file.backoff.OnProgress();
    return absl::OkStatus();
  }

  absl::Status HearEndings() {
    int num_left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &num_left)) {
      const auto ended = std::find_if(transfers_.begin(), transfers_.end(), [&](const Transfer& t) {
        return t.exchange->curl() == message->easy_handle;
      });
      File& file = *ended->file;
      absl::Status outcome = ended->exchange->Outcome(message->data.result, reference_);
      if (outcome.ok() && ended->position < ended->asked.end) {
        outcome = absl::UnavailableError("the connection ended early");
      }
      const absl::Duration retry_after = ended->exchange->retry_after();
      End(ended);
      if (outcome == NoRanges()) {
        outcome = StartOverWithoutRanges(file);
      } else if (!outcome.ok()) {
        outcome = TryAgain(file, outcome, retry_after);
      }
      if (!outcome.ok()) return About(file, outcome);
    }
    return absl::OkStatus();
  }

  absl::Status TryAgain(File& file, const absl::Status& failure, absl::Duration retry_after) {
    const absl::Time now = absl::Now();
    const bool is_known = now < file.backoff.next_try();
    if (auto s = file.backoff.OnFailure(failure, retry_after, now); !s.ok()) return s;
    if (!is_known) {
      progress_.Say(absl::StrFormat("%s: %s; trying again in %.1f s", file.wanted.file.name,
                                    std::string(failure.message()),
                                    absl::ToDoubleSeconds(file.backoff.next_try() - now)));
    }
    return absl::OkStatus();
  }

  absl::Status StartOverWithoutRanges(File& file) {
    file.has_ranges = false;
    for (auto transfer = transfers_.begin(); transfer != transfers_.end();) {
      const auto next = std::next(transfer);
      if (transfer->file == &file) End(transfer);
      transfer = next;
    }
    progress_.Say(file.wanted.file.name + ": the server knows no ranges; from the start");
    return file.wanted.partial.Clear();
  }

  // On a thread of its own, or the others' connections would stall.
  void StartHash(File& file) {
    const Wanted& wanted = file.wanted;
    file.hash = std::async(
        std::launch::async,
        [this, path = wanted.partial.path(), size = wanted.file.size,
         kind = wanted.file.digest.kind] { return HashFile(path, size, kind, stop_hashing_); });
  }

  absl::Status HearHash(File& file) {
    if (file.hash.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      return absl::OkStatus();
    }
    const absl::StatusOr<std::string> hash = file.hash.get();
    if (!hash.ok()) return hash.status();
    Wanted& wanted = file.wanted;
    if (*hash == wanted.file.digest.hex) {
      file.is_done = true;
      progress_.Say(absl::StrCat(wanted.file.name, "  ", ShowBytes(wanted.file.size)));
      return wanted.partial.Finish(wanted.path);
    }
    if (auto s = wanted.partial.Clear(); !s.ok()) return s;
    const std::string cause = absl::StrCat("its ", wanted.file.digest.KindName(), " is ", *hash,
                                           " and not ", wanted.file.digest.hex);
    if (++file.num_mismatches == kMaxMismatches) {
      return absl::DataLossError(absl::StrCat(cause, ", after ", kMaxMismatches,
                                              " downloads: what comes is not the file"));
    }
    progress_.Say(absl::StrCat(wanted.file.name, ": ", cause, "; from the start"));
    return absl::OkStatus();
  }

  const HubSettings& settings_;
  const ModelReference& reference_;
  const cli::Interrupts& interrupts_;
  Progress& progress_;
  CURLM* const multi_;
  std::atomic<bool> stop_hashing_ = false;
  std::list<File> files_;  // transfers and hashes hold on to them
  Transfers transfers_;
};

}  // namespace

absl::Status Download(std::vector<Wanted> files, const HubSettings& settings,
                      const ModelReference& reference, const cli::Interrupts& interrupts,
                      Progress& progress) {
  return Downloader(std::move(files), settings, reference, interrupts, progress).Run();
}

}  // namespace weft::pull
