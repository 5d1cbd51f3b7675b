// What the two streams of the scheduler have in common: frames read one after
// another, one write at a time, and exactly one end. A stream keeps itself alive
// until gRPC is done with it; whoever else holds it may call it at any moment,
// also after its end.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/grpc_status.h"

namespace weft::scheduler {

template <typename Up, typename Down>
class PeerStream : public grpc::ServerBidiReactor<Up, Down> {
 public:
  explicit PeerStream(grpc::CallbackServerContext* context) : context_(context) {}

  // Hands the stream to gRPC: what the service's method returns.
  static grpc::ServerBidiReactor<Up, Down>* Start(std::shared_ptr<PeerStream> stream) {
    stream->self_ = stream;
    stream->StartRead(&stream->in_);
    return stream.get();
  }

  // Sends what waits, then ends the stream with `status`. Any thread.
  void Close(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    if (!final_status_) final_status_ = ToGrpc(status);
    Pump();
  }

  // Ends the stream at once; what waits is lost. Any thread.
  void Cut() {
    std::lock_guard lock(mutex_);
    CutLocked();
  }

 protected:
  // One frame, on a gRPC thread, in order. `frame` is used again afterwards.
  virtual void OnFrame(Up& frame) = 0;
  // Nothing comes any more. `clean`: the peer closed its side; otherwise the
  // stream broke or was cut. Once, behind the last OnFrame.
  virtual void OnEnd(bool clean) = 0;
  // The next frame to write, or null. It stays untouched until the next call.
  // mutex() is held.
  virtual const Down* NextFrame() = 0;

  std::mutex& mutex() { return mutex_; }

  // Writes the next frame if none is being written. mutex() is held.
  void Pump() {
    if (writing_ || finished_ || broken_) return;
    if (const Down* frame = NextFrame()) {
      writing_ = true;
      this->StartWrite(frame);
    } else if (final_status_) {
      finished_ = true;
      this->Finish(*final_status_);
    }
  }

  // mutex() is held. Nothing is written from here on.
  void CutLocked() {
    if (broken_ || done_) return;
    broken_ = true;
    context_->TryCancel();
  }
  bool IsOpen() const { return !broken_ && !finished_ && !final_status_; }  // mutex() is held

 private:
  void OnReadDone(bool ok) final {
    if (ok) {
      if (!IsClosing()) OnFrame(in_);
      this->StartRead(&in_);
      return;
    }
    bool clean;
    {
      std::lock_guard lock(mutex_);
      clean = !broken_ && !context_->IsCancelled();
    }
    OnEnd(clean);
    std::lock_guard lock(mutex_);
    if (!clean) broken_ = true;
    if (!final_status_) final_status_ = grpc::Status::OK;
    read_ended_ = true;
    if (clean) {
      Pump();
    } else {
      FinishBroken();
    }
  }

  void OnWriteDone(bool ok) final {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) broken_ = true;
    if (broken_) {
      FinishBroken();
    } else {
      Pump();
    }
  }

  // Nothing that a peer sends counts once we have ended the stream.
  bool IsClosing() {
    std::lock_guard lock(mutex_);
    return !IsOpen();
  }

  // gRPC expects a Finish for a broken stream as well, behind its operations.
  void FinishBroken() {
    if (!read_ended_ || writing_ || finished_) return;
    finished_ = true;
    this->Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the stream was cut"));
  }

  void OnDone() final {
    std::shared_ptr<PeerStream> self;  // released behind the lock
    std::lock_guard lock(mutex_);
    done_ = true;
    self = std::move(self_);
  }

  grpc::CallbackServerContext* const context_;  // valid until OnDone
  std::shared_ptr<PeerStream> self_;
  Up in_;
  std::mutex mutex_;
  bool writing_ = false;
  bool read_ended_ = false;
  bool broken_ = false;
  bool finished_ = false;
  bool done_ = false;
  std::optional<grpc::Status> final_status_;
};

}  // namespace weft::scheduler
