// One stream to the scheduler, from Hello to its end. Steps come in through
// gRPC's threads and wait in a queue; answers leave with one write at a time.
//
// Threads: Dial, AwaitWelcome, NextStep and Finish belong to one thread; Recycle,
// SendDone, SendFault, SendHeartbeat, StopSteps and Leave may come from any, but not
// after Finish.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/v1/worker.grpc.pb.h"
#include "worker/engine/backend.h"

namespace weft::worker {

using Clock = std::chrono::steady_clock;

struct QueuedStep {
  StepCommand command;
  Clock::time_point received;
  Clock::time_point begun;
};

class Attachment final : public grpc::ClientBidiReactor<v1::WorkerFrame, v1::WorkerCommand> {
 public:
  struct Options {
    v1::WorkerHello hello;
    // The highest term this worker has been welcomed with. A lower one belongs to
    // a scheduler that has been replaced.
    uint64_t min_epoch = 0;
  };

  static std::unique_ptr<Attachment> Dial(v1::WorkerService::Stub& stub, Options options);
  // Behind Finish only, and never on a gRPC thread: the stream's context may be the
  // last to hold the channel, which joins gRPC's threads when it goes.
  ~Attachment() override;

  // Blocks until Welcome has come: true. False: the stream ended, Leave was called,
  // or `patience` is over; Finish says why.
  bool AwaitWelcome(std::chrono::milliseconds patience);
  // Whom a scheduler named that stands by, or has handed over; empty: nobody.
  const std::string& leader() const { return leader_; }                        // after Finish
  uint64_t epoch() const { return epoch_; }                                    // after Welcome
  std::chrono::milliseconds heartbeat_interval() const { return heartbeat_; }  // after Welcome

  // Blocks for the next step, in order. Null: there will be none, because the
  // scheduler has drained this worker or the stream broke.
  std::unique_ptr<QueuedStep> NextStep();
  // NextStep returns null from now on.
  void StopSteps();
  // Hands a step's storage back for a later one.
  void Recycle(std::unique_ptr<QueuedStep> step);

  void SendDone(const StepResult& result);
  void SendFault(uint64_t step_id, const std::string& message);
  void SendHeartbeat(uint64_t last_step_id);

  // Asks the scheduler for Drain. Steps that it sent before are still handed out;
  // then NextStep returns null.
  void Leave();

  // Sends what is queued, closes our side, waits for the scheduler to close its
  // own (cancels after `patience`). OK: it ended as agreed.
  absl::Status Finish(std::chrono::milliseconds patience);

 private:
  explicit Attachment(Options options);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  // All below expect mutex_ to be held.
  void HandleCommand();
  void HandleStep();
  void Break(absl::Status cause);  // our own reason to give the stream up
  void Enqueue(std::unique_ptr<v1::WorkerFrame> frame);
  void WriteNext();
  std::unique_ptr<v1::WorkerFrame> NewFrame();

  const Options options_;
  grpc::ClientContext context_;
  v1::WorkerCommand in_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool welcomed_ = false;
  bool no_more_steps_ = false;  // drained, or Leave before Welcome
  bool steps_stopped_ = false;  // StopSteps
  bool read_ended_ = false;     // the scheduler closed its side, or the stream broke
  bool closing_ = false;        // Finish: half-close once all is written
  bool half_closed_ = false;
  bool done_ = false;
  absl::Status cause_;   // why we broke it off
  absl::Status status_;  // how it ended
  std::string leader_;
  uint64_t epoch_ = 0;
  std::chrono::milliseconds heartbeat_{0};

  std::deque<std::unique_ptr<QueuedStep>> steps_;
  std::vector<std::unique_ptr<QueuedStep>> spare_steps_;

  std::unique_ptr<v1::WorkerFrame> writing_;
  std::deque<std::unique_ptr<v1::WorkerFrame>> outbox_;
  std::vector<std::unique_ptr<v1::WorkerFrame>> spare_frames_;
};

}  // namespace weft::worker
