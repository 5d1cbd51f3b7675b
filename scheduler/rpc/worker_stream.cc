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
  const absl::Status read = frames_.Read(frame, [this] { return shared_from_this(); });
  if (!read.ok()) Close(read);
}

void WorkerStream::OnEnd(bool clean) { frames_.End(clean); }

const v1::WorkerCommand* WorkerStream::NextFrame() {
  if (out_) spare_.push_back(std::move(out_));
  if (queue_.empty()) return nullptr;
  out_ = std::move(queue_.front());
  queue_.pop_front();
  return out_.get();
}

}  // namespace weft::scheduler
