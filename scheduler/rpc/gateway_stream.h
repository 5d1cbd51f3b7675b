// One gateway's Session stream: reads its frames, fences them, and writes what
// the loop has for it, merged.
#pragma once

#include <cstdint>
#include <memory>

#include "scheduler/rpc/outbox.h"
#include "scheduler/rpc/peer_stream.h"
#include "weft/v1/scheduler.grpc.pb.h"

namespace weft::scheduler {

class GatewayStream;

// Who hears what gateways send. Called on gRPC's threads, per stream in order;
// must not block.
class GatewayListener {
 public:
  virtual ~GatewayListener() = default;
  virtual void OnGatewayHello(std::shared_ptr<GatewayStream> stream, const v1::GatewayHello&) = 0;
  virtual void OnSubmit(uint64_t stream_id, const v1::Submit& submit) = 0;
  virtual void OnConclude(uint64_t stream_id, const v1::Conclude& conclude) = 0;
  virtual void OnCancel(uint64_t stream_id, const v1::Cancel& cancel) = 0;
  // The last call for a stream that said Hello.
  virtual void OnGatewayGone(uint64_t stream_id) = 0;
};

enum class Told { kYes, kEnded, kCut };

class GatewayStream final : public PeerStream<v1::GatewayFrame, v1::SchedulerFrame>,
                            public std::enable_shared_from_this<GatewayStream> {
 public:
  struct Options {
    uint64_t id = 0;
    uint64_t epoch = 0;
    // A gateway that reads so slowly that more than this waits for it is cut off.
    size_t max_outbox_bytes = 0;
  };

  GatewayStream(grpc::CallbackServerContext* context, GatewayListener& listener, Options options)
      : PeerStream(context), listener_(listener), options_(options) {}

  uint64_t id() const { return options_.id; }

  // `add(outbox)` says what there is to tell; it leaves with the next write. One
  // call a step: what is added together is sent together. kEnded: nobody listens
  // any more. kCut: this was more than the bound, and the stream has been ended.
  // Any thread.
  template <typename Add>
  Told Tell(Add&& add) {
    std::lock_guard lock(mutex());
    if (!IsOpen()) return Told::kEnded;
    add(outbox_);
    return Flush();
  }

 private:
  void OnFrame(v1::GatewayFrame& frame) override;
  void OnEnd(bool clean) override;
  const v1::SchedulerFrame* NextFrame() override;
  Told Flush();

  GatewayListener& listener_;
  const Options options_;
  bool greeted_ = false;  // reading thread
  Outbox outbox_;
  v1::SchedulerFrame out_;
};

}  // namespace weft::scheduler
