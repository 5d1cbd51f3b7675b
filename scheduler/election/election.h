// Which of a group's schedulers leads it. The others stand by: they listen, name the leader
// to who dials them, and wait for its end. A kind of election is one implementation; the
// scheduler's main drives it:
//
//   term = election.Win();        // blocks; from here on this process leads, in this term
//   status = election.AwaitLoss();  // blocks; not OK: another may lead, end at once
//   election.Release();           // behind OK: another may win, and Successor() says where
//
// Terms grow with each holder: they are the epochs that fence frames of the one before
// (worker.proto). A process wins at most once in its life: who has lost starts anew, empty.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::scheduler {

class Election {
 public:
  virtual ~Election() = default;

  // Until this process leads: its term. Cancelled: Stop was called. Anything else: this
  // election cannot work here, and why.
  virtual absl::StatusOr<uint64_t> Win() = 0;

  // After Win, until it leads no more: not OK, with the cause. OK: Stop was called.
  virtual absl::Status AwaitLoss() = 0;

  // Once AwaitLoss has returned OK: gives the lead up. The next one need not wait for it to
  // run out.
  virtual void Release() = 0;

  // Behind Release: where the next leader is dialled; empty: nobody leads yet. May block for
  // a second.
  virtual std::string Successor() = 0;

  // Where the leader is dialled, as far as is known; empty: nobody leads. Any thread.
  virtual std::string leader() const = 0;

  // Ends both waits; the lead, if this process has it, stays until Release. Any thread.
  void Stop();

 protected:
  // False: Stop was called, before or meanwhile.
  bool Pause(std::chrono::milliseconds time);

 private:
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
};

// Microseconds of the wall clock: of two schedulers the later one has the higher term,
// without anything kept on disk.
uint64_t TermOfNow();

}  // namespace weft::scheduler
