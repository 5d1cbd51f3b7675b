#include "scheduler/rpc/peers.h"

namespace weft::scheduler {
namespace {

absl::Status NoHello() { return absl::InvalidArgumentError("the first frame must be hello"); }
absl::Status TermIsOver() { return absl::AbortedError("this scheduler's term is over"); }

}  // namespace

absl::Status GatewayFrames::Read(const v1::GatewayFrame& frame,
                                 absl::FunctionRef<std::shared_ptr<GatewayPeer>()> self) {
  if (!greeted_) {
    if (!frame.has_hello()) return NoHello();
    greeted_ = true;
    listener_.OnGatewayHello(self(), frame.hello());
    return absl::OkStatus();
  }
  if (frame.epoch() < epoch_) return absl::OkStatus();  // late, expected
  if (frame.epoch() > epoch_) return TermIsOver();
  switch (frame.frame_case()) {
    case v1::GatewayFrame::kSubmit:
      listener_.OnSubmit(stream_id_, frame.submit());
      return absl::OkStatus();
    case v1::GatewayFrame::kConclude:
      listener_.OnConclude(stream_id_, frame.conclude());
      return absl::OkStatus();
    case v1::GatewayFrame::kCancel:
      listener_.OnCancel(stream_id_, frame.cancel());
      return absl::OkStatus();
    case v1::GatewayFrame::kHello:
    case v1::GatewayFrame::FRAME_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a frame that is none of Session's");
}

void GatewayFrames::End() {
  if (greeted_) listener_.OnGatewayGone(stream_id_);
}

absl::Status WorkerFrames::Read(const v1::WorkerFrame& frame,
                                absl::FunctionRef<std::shared_ptr<WorkerPeer>()> self) {
  if (!greeted_) {
    if (!frame.has_hello()) return NoHello();
    greeted_ = true;
    listener_.OnWorkerHello(self(), frame.hello());
    return absl::OkStatus();
  }
  if (frame.epoch() < epoch_) return absl::OkStatus();  // late, expected
  if (frame.epoch() > epoch_) return TermIsOver();
  switch (frame.frame_case()) {
    case v1::WorkerFrame::kStepDone:
      listener_.OnStepDone(stream_id_, frame.step_done());
      return absl::OkStatus();
    case v1::WorkerFrame::kHeartbeat:
      listener_.OnHeartbeat(stream_id_);
      return absl::OkStatus();
    case v1::WorkerFrame::kFault:
      listener_.OnFault(stream_id_, frame.fault());
      return absl::OkStatus();
    case v1::WorkerFrame::kLeaving:
      listener_.OnLeaving(stream_id_);
      return absl::OkStatus();
    case v1::WorkerFrame::kHello:
    case v1::WorkerFrame::FRAME_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a frame that is none of Attach's");
}

void WorkerFrames::End(bool clean) {
  if (greeted_) listener_.OnWorkerGone(stream_id_, clean);
}

}  // namespace weft::scheduler
