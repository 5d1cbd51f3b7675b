// One worker's Attach stream: reads its frames and writes the loop's commands in order.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/rpc/peer_stream.h"
#include "scheduler/rpc/peers.h"
#include "weft/v1/worker.grpc.pb.h"

namespace weft::scheduler {

// Thread safety: any thread, at once. The listener is called on gRPC's.
class WorkerStream final : public PeerStream<v1::WorkerFrame, v1::WorkerCommand>,
                           public WorkerPeer,
                           public std::enable_shared_from_this<WorkerStream> {
 public:
  struct Options {
    uint64_t id = 0;
    uint64_t epoch = 0;
  };

  WorkerStream(grpc::CallbackServerContext* context, WorkerListener& listener, Options options)
      : PeerStream(context), options_(options), frames_(listener, options.id, options.epoch) {}

  uint64_t id() const override { return options_.id; }
  std::unique_ptr<v1::WorkerCommand> NewCommand() override;
  void Send(std::unique_ptr<v1::WorkerCommand> command) override;
  void Close(const absl::Status& status) override { PeerStream::Close(status); }
  void Cut() override { PeerStream::Cut(); }

 private:
  void OnFrame(v1::WorkerFrame& frame) override;
  void OnEnd(bool clean) override;
  const v1::WorkerCommand* NextFrame() override;

  const Options options_;
  WorkerFrames frames_;  // reading thread
  std::unique_ptr<v1::WorkerCommand> out_;
  std::deque<std::unique_ptr<v1::WorkerCommand>> queue_;
  std::vector<std::unique_ptr<v1::WorkerCommand>> spare_;
};

}  // namespace weft::scheduler
