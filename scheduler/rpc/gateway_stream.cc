#include "scheduler/rpc/gateway_stream.h"

namespace weft::scheduler {

void GatewayStream::OnFrame(v1::GatewayFrame& frame) {
  const absl::Status read = frames_.Read(frame, [this] { return shared_from_this(); });
  if (!read.ok()) Close(read);
}

void GatewayStream::OnEnd(bool /*clean*/) { frames_.End(); }

const v1::SchedulerFrame* GatewayStream::NextFrame() {
  return outbox_.Take(options_.epoch, out_) ? &out_ : nullptr;
}

Told GatewayStream::Tell(absl::FunctionRef<void(Outbox&)> add) {
  std::lock_guard lock(mutex());
  if (!IsOpen()) return Told::kEnded;
  add(outbox_);
  Pump();
  if (outbox_.num_bytes() <= options_.max_outbox_bytes) return Told::kYes;
  outbox_.Clear();
  CutLocked();
  return Told::kCut;
}

}  // namespace weft::scheduler
