// Gateways and workers as the scheduler sees them: what may be said to them (a peer), what
// they say (a listener), and how their frames are read. A stream of gRPC is one such peer;
// a simulation brings its own.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "scheduler/rpc/outbox.h"
#include "weft/v1/scheduler.pb.h"
#include "weft/v1/worker.pb.h"

namespace weft::scheduler {

enum class Told { kYes, kEnded, kCut };

class GatewayPeer {
 public:
  virtual ~GatewayPeer() = default;
  virtual uint64_t id() const = 0;
  // `add` says what there is to tell; it leaves with the next write. One call a step: what
  // is added together is sent together. kEnded: nobody listens any more. kCut: this was more
  // than may wait for a gateway that reads slowly, and its stream has been ended.
  virtual Told Tell(absl::FunctionRef<void(Outbox&)> add) = 0;
  // Sends what waits, then ends the stream.
  virtual void Close(const absl::Status& status) = 0;
};

class WorkerPeer {
 public:
  virtual ~WorkerPeer() = default;
  virtual uint64_t id() const = 0;
  // A cleared command with its epoch set, from storage used before.
  virtual std::unique_ptr<v1::WorkerCommand> NewCommand() = 0;
  // Sends it behind those sent before; dropped once the stream has ended.
  virtual void Send(std::unique_ptr<v1::WorkerCommand> command) = 0;
  // Sends what waits, then ends the stream.
  virtual void Close(const absl::Status& status) = 0;
  // Ends it at once; what waits is lost.
  virtual void Cut() = 0;
};

// Called per stream in order; must not block.
class GatewayListener {
 public:
  virtual ~GatewayListener() = default;
  virtual void OnGatewayHello(std::shared_ptr<GatewayPeer> peer, const v1::GatewayHello&) = 0;
  virtual void OnSubmit(uint64_t stream_id, const v1::Submit& submit) = 0;
  virtual void OnConclude(uint64_t stream_id, const v1::Conclude& conclude) = 0;
  virtual void OnCancel(uint64_t stream_id, const v1::Cancel& cancel) = 0;
  // The last call for a stream that said Hello.
  virtual void OnGatewayGone(uint64_t stream_id) = 0;
};

class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  virtual void OnWorkerHello(std::shared_ptr<WorkerPeer> peer, const v1::WorkerHello&) = 0;
  virtual void OnStepDone(uint64_t stream_id, const v1::StepDone& done) = 0;
  virtual void OnHeartbeat(uint64_t stream_id) = 0;
  virtual void OnFault(uint64_t stream_id, const v1::Fault& fault) = 0;
  virtual void OnLeaving(uint64_t stream_id) = 0;
  // The last call for a stream that said Hello. `clean`: the worker closed it.
  virtual void OnWorkerGone(uint64_t stream_id, bool clean) = 0;
};

// One stream's frames, in order: fences them by their term and hands them on. Not
// thread-safe. Read: OK, or why the stream is to be closed; `self` is called for Hello.
class GatewayFrames {
 public:
  GatewayFrames(GatewayListener& listener, uint64_t stream_id, uint64_t epoch)
      : listener_(listener), stream_id_(stream_id), epoch_(epoch) {}

  absl::Status Read(const v1::GatewayFrame& frame,
                    absl::FunctionRef<std::shared_ptr<GatewayPeer>()> self);
  // The stream has ended. Once, behind the last Read.
  void End();

 private:
  GatewayListener& listener_;
  const uint64_t stream_id_;
  const uint64_t epoch_;
  bool greeted_ = false;
};

class WorkerFrames {
 public:
  WorkerFrames(WorkerListener& listener, uint64_t stream_id, uint64_t epoch)
      : listener_(listener), stream_id_(stream_id), epoch_(epoch) {}

  absl::Status Read(const v1::WorkerFrame& frame,
                    absl::FunctionRef<std::shared_ptr<WorkerPeer>()> self);
  // `clean`: the worker closed its side.
  void End(bool clean);

 private:
  WorkerListener& listener_;
  const uint64_t stream_id_;
  const uint64_t epoch_;
  bool greeted_ = false;
};

}  // namespace weft::scheduler
