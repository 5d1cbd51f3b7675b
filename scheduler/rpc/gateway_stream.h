// One gateway's Session stream: reads its frames and writes what the loop has for it,
// merged.
#pragma once

#include <cstdint>
#include <memory>

#include "scheduler/rpc/outbox.h"
#include "scheduler/rpc/peer_stream.h"
#include "scheduler/rpc/peers.h"
#include "weft/v1/scheduler.grpc.pb.h"

namespace weft::scheduler {

// Thread safety: any thread, at once. The listener is called on gRPC's.
class GatewayStream final : public PeerStream<v1::GatewayFrame, v1::SchedulerFrame>,
                            public GatewayPeer,
                            public std::enable_shared_from_this<GatewayStream> {
 public:
  struct Options {
    uint64_t id = 0;
    uint64_t epoch = 0;
    // A gateway that reads so slowly that more than this waits for it is cut off.
    size_t max_outbox_bytes = 0;
  };

  GatewayStream(grpc::CallbackServerContext* context, GatewayListener& listener, Options options)
      : PeerStream(context), options_(options), frames_(listener, options.id, options.epoch) {}

  uint64_t id() const override { return options_.id; }
  Told Tell(absl::FunctionRef<void(Outbox&)> add) override;
  void Close(const absl::Status& status) override { PeerStream::Close(status); }

 private:
  void OnFrame(v1::GatewayFrame& frame) override;
  void OnEnd(bool clean) override;
  const v1::SchedulerFrame* NextFrame() override;

  const Options options_;
  GatewayFrames frames_;  // reading thread
  Outbox outbox_;
  v1::SchedulerFrame out_;
};

}  // namespace weft::scheduler
