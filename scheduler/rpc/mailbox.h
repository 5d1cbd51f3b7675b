// Many threads post, one takes everything at once. What gRPC's threads tell the
// scheduler's loop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace weft::scheduler {

template <typename Mail>
class Mailbox {
 public:
  // Any thread; never blocks on the reader.
  void Post(Mail mail) {
    bool was_empty;
    {
      std::lock_guard lock(mutex_);
      was_empty = mail_.empty();
      mail_.push_back(std::move(mail));
    }
    if (was_empty) posted_.notify_one();
  }

  // Blocks until there is mail or `deadline` has come, then replaces `batch` by
  // all of it, in the order of posting. One reader.
  void TakeUntil(std::chrono::steady_clock::time_point deadline, std::vector<Mail>& batch) {
    batch.clear();
    std::unique_lock lock(mutex_);
    posted_.wait_until(lock, deadline, [&] { return !mail_.empty(); });
    batch.swap(mail_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::vector<Mail> mail_;
};

}  // namespace weft::scheduler
