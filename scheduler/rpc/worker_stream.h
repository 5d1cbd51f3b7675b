// One worker's Attach stream: reads its frames, fences them, and writes the
// loop's commands in order.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/rpc/peer_stream.h"
#include "weft/v1/worker.grpc.pb.h"

namespace weft::scheduler {

class WorkerStream;

// Who hears what workers send. Called on gRPC's threads, per stream in order;
// must not block.
class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  virtual void OnWorkerHello(std::shared_ptr<WorkerStream> stream, const v1::WorkerHello&) = 0;
  virtual void OnStepDone(uint64_t stream_id, const v1::StepDone& done) = 0;
  virtual void OnHeartbeat(uint64_t stream_id) = 0;
  virtual void OnFault(uint64_t stream_id, const v1::Fault& fault) = 0;
  virtual void OnLeaving(uint64_t stream_id) = 0;
  // The last call for a stream that said Hello. `clean`: the worker closed it.
  virtual void OnWorkerGone(uint64_t stream_id, bool clean) = 0;
};

class WorkerStream final : public PeerStream<v1::WorkerFrame, v1::WorkerCommand>,
                           public std::enable_shared_from_this<WorkerStream> {
 public:
  struct Options {
    uint64_t id = 0;
    uint64_t epoch = 0;
  };

  WorkerStream(grpc::CallbackServerContext* context, WorkerListener& listener, Options options)
      : PeerStream(context), listener_(listener), options_(options) {}

  uint64_t id() const { return options_.id; }

  // A cleared command with its epoch set, from storage used before.
  std::unique_ptr<v1::WorkerCommand> NewCommand();
  // Sends it behind those sent before; dropped once the stream has ended.
  void Send(std::unique_ptr<v1::WorkerCommand> command);

 private:
  void OnFrame(v1::WorkerFrame& frame) override;
  void OnEnd(bool clean) override;
  const v1::WorkerCommand* NextFrame() override;

  WorkerListener& listener_;
  const Options options_;
  bool greeted_ = false;  // reading thread
  std::unique_ptr<v1::WorkerCommand> out_;
  std::deque<std::unique_ptr<v1::WorkerCommand>> queue_;
  std::vector<std::unique_ptr<v1::WorkerCommand>> spare_;
};

}  // namespace weft::scheduler
