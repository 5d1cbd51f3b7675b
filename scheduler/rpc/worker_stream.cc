#include "scheduler/rpc/worker_stream.h"

namespace weft::scheduler {

std::unique_ptr<v1::WorkerCommand> WorkerStream::NewCommand() {
  std::unique_ptr<v1::WorkerCommand> command;
  {
    std::lock_guard lock(mutex());
    if (!spare_.empty()) {
      command = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (!command) command = std::make_unique<v1::WorkerCommand>();
  command->Clear();
  command->set_epoch(options_.epoch);
  return command;
}

void WorkerStream::Send(std::unique_ptr<v1::WorkerCommand> command) {
  std::lock_guard lock(mutex());
  if (!IsOpen()) return;
  queue_.push_back(std::move(command));
  Pump();
}

void WorkerStream::OnFrame(v1::WorkerFrame& frame) {
  if (!greeted_) {
    if (!frame.has_hello()) {
      return Close({grpc::StatusCode::INVALID_ARGUMENT, "the first frame must be hello"});
    }
    greeted_ = true;
    return listener_.OnWorkerHello(shared_from_this(), frame.hello());
  }
  if (frame.epoch() < options_.epoch) return;  // late, expected
  if (frame.epoch() > options_.epoch) {
    return Close({grpc::StatusCode::ABORTED, "this scheduler's term is over"});
  }
  switch (frame.frame_case()) {
    case v1::WorkerFrame::kStepDone:
      return listener_.OnStepDone(id(), frame.step_done());
    case v1::WorkerFrame::kHeartbeat:
      return listener_.OnHeartbeat(id());
    case v1::WorkerFrame::kFault:
      return listener_.OnFault(id(), frame.fault());
    case v1::WorkerFrame::kLeaving:
      return listener_.OnLeaving(id());
    case v1::WorkerFrame::kHello:
    case v1::WorkerFrame::FRAME_NOT_SET:
      return Close({grpc::StatusCode::INVALID_ARGUMENT, "a frame that is none of Attach's"});
  }
}

void WorkerStream::OnEnd(bool clean) {
  if (greeted_) listener_.OnWorkerGone(id(), clean);
}

const v1::WorkerCommand* WorkerStream::NextFrame() {
  if (out_) spare_.push_back(std::move(out_));
  if (queue_.empty()) return nullptr;
  out_ = std::move(queue_.front());
  queue_.pop_front();
  return out_.get();
}

}  // namespace weft::scheduler
