// The worker process between its backend and the scheduler: dials, attaches
// empty, executes steps in order, answers, and attaches anew when the stream is
// lost. The thread that calls Run begins steps, as many ahead as the backend takes; a
// second one awaits and answers them; a third sends heartbeats while a stream lives,
// so that a long step is not taken for death.
//
//              Welcome    stream lost   step fails   refused   Stop
//   dialing    attached   dialing       –            ended     ended
//   attached   –          dialing       dialing      –         finishing -> ended
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/peer_addresses.h"
#include "common/peer_tls.h"
#include "worker/engine/backend.h"
#include "worker/rpc/attachment.h"
#include "worker/rpc/step_queue.h"
#include "worker/rpc/worker_metrics.h"

namespace weft::worker {

class Worker {
 public:
  // `backend` and `metrics` must outlive the worker.
  // scheduler_address: as PeerAddresses takes it.
  Worker(Backend& backend, WorkerMetrics& metrics, const std::string& scheduler_address,
         PeerTls tls = {});

  // Serves until Stop: OK. Otherwise why this process cannot go on: the
  // scheduler refuses it (another model than its group's), or the device failed
  // twice without one good step between, and only a new process can help.
  absl::Status Run();

  // Finishes the steps at hand, ends the stream, makes Run return. Any thread.
  void Stop();

  // OK while attached, and no step has run for longer than kStuckStep. Any thread.
  absl::Status Ready() const;

 private:
  struct StepFailure {
    uint64_t step_id = 0;
    absl::Status status;
  };

  // One stream from Hello to its end.
  absl::Status Serve(Attachment& attachment);
  absl::Status ServeSteps(Attachment& attachment);
  std::optional<StepFailure> BeginSteps(Attachment& attachment, StepQueue& begun);
  std::optional<StepFailure> AnswerSteps(Attachment& attachment, StepQueue& begun);
  absl::Status AnswerStep(Attachment& attachment, QueuedStep& step);
  void LogFailedRows(const StepCommand& command, const StepResult& result);
  absl::Status TellFailure(Attachment& attachment, const StepFailure& failure);
  void Heartbeats(Attachment& attachment);
  bool Stopping() const;
  void Pause(std::chrono::milliseconds time);  // Stop cuts it short

  Backend& backend_;
  WorkerMetrics& metrics_;
  PeerAddresses addresses_;
  const PeerTls tls_;
  std::string address_;  // dialled last
  v1::WorkerHello hello_;
  uint64_t epoch_ = 0;       // highest term seen
  int failures_in_row_ = 0;  // steps failed since the last good one
  // By slot, of the sequence that the step answered last knew there. The answering thread's.
  std::vector<SpanContext> slot_traces_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool attached_ = false;
  Attachment* attachment_ = nullptr;  // the current one, for Stop

  std::atomic<uint64_t> last_step_id_{0};
  std::atomic<int64_t> step_started_ns_{0};  // of the step awaited; 0: none
};

}  // namespace weft::worker
