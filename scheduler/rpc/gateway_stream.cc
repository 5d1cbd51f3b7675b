#include "scheduler/rpc/gateway_stream.h"

namespace weft::scheduler {

void GatewayStream::OnFrame(v1::GatewayFrame& frame) {
  if (!greeted_) {
    if (!frame.has_hello()) {
      return Close({grpc::StatusCode::INVALID_ARGUMENT, "the first frame must be hello"});
    }
    greeted_ = true;
    return listener_.OnGatewayHello(shared_from_this(), frame.hello());
  }
  if (frame.epoch() < options_.epoch) return;  // late, expected
  if (frame.epoch() > options_.epoch) {
    return Close({grpc::StatusCode::ABORTED, "this scheduler's term is over"});
  }
  switch (frame.frame_case()) {
    case v1::GatewayFrame::kSubmit:
      return listener_.OnSubmit(id(), frame.submit());
    case v1::GatewayFrame::kConclude:
      return listener_.OnConclude(id(), frame.conclude());
    case v1::GatewayFrame::kCancel:
      return listener_.OnCancel(id(), frame.cancel());
    case v1::GatewayFrame::kHello:
    case v1::GatewayFrame::FRAME_NOT_SET:
      return Close({grpc::StatusCode::INVALID_ARGUMENT, "a frame that is none of Session's"});
  }
}

void GatewayStream::OnEnd(bool /*clean*/) {
  if (greeted_) listener_.OnGatewayGone(id());
}

const v1::SchedulerFrame* GatewayStream::NextFrame() {
  return outbox_.Take(options_.epoch, out_) ? &out_ : nullptr;
}

Told GatewayStream::Flush() {
  Pump();
  if (outbox_.num_bytes() <= options_.max_outbox_bytes) return Told::kYes;
  outbox_.Clear();
  CutLocked();
  return Told::kCut;
}

}  // namespace weft::scheduler
