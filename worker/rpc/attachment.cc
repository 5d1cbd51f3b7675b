#include "worker/rpc/attachment.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/grpc_status.h"
#include "worker/rpc/step_codec.h"

namespace weft::worker {

std::unique_ptr<Attachment> Attachment::Dial(v1::WorkerService::Stub& stub, Options options) {
  auto attachment = std::unique_ptr<Attachment>(new Attachment(std::move(options)));
  Attachment& a = *attachment;
  stub.async()->Attach(&a.context_, &a);
  a.AddHold();  // until Finish: other threads start writes
  a.StartRead(&a.in_);
  {
    std::lock_guard lock(a.mutex_);
    auto frame = a.NewFrame();
    *frame->mutable_hello() = a.options_.hello;
    a.Enqueue(std::move(frame));
  }
  a.StartCall();
  return attachment;
}

Attachment::Attachment(Options options) : options_(std::move(options)) {}

Attachment::~Attachment() { WEFT_CHECK(done_); }

bool Attachment::AwaitWelcome(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return welcomed_ || read_ended_ || no_more_steps_; });
  if (!welcomed_ && !read_ended_ && !no_more_steps_) {
    Break(absl::DeadlineExceededError("the scheduler does not answer Hello"));
  }
  return welcomed_;
}

std::unique_ptr<QueuedStep> Attachment::NextStep() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [&] { return !steps_.empty() || no_more_steps_ || read_ended_ || steps_stopped_; });
  // Nobody waits for the answers of a broken stream.
  if (read_ended_ || steps_stopped_ || steps_.empty()) return nullptr;
  auto step = std::move(steps_.front());
  steps_.pop_front();
  return step;
}

void Attachment::StopSteps() {
  std::lock_guard lock(mutex_);
  steps_stopped_ = true;
  changed_.notify_all();
}

void Attachment::Recycle(std::unique_ptr<QueuedStep> step) {
  std::lock_guard lock(mutex_);
  spare_steps_.push_back(std::move(step));
}

void Attachment::SendDone(const StepResult& result) {
  std::unique_lock lock(mutex_);
  auto frame = NewFrame();
  lock.unlock();
  ToProto(result, *frame->mutable_step_done());
  lock.lock();
  Enqueue(std::move(frame));
}

void Attachment::SendFault(uint64_t step_id, const std::string& message) {
  std::lock_guard lock(mutex_);
  auto frame = NewFrame();
  frame->mutable_fault()->set_step_id(step_id);
  frame->mutable_fault()->set_message(message);
  Enqueue(std::move(frame));
}

void Attachment::SendHeartbeat(uint64_t last_step_id) {
  std::lock_guard lock(mutex_);
  if (!outbox_.empty()) return;  // frames that wait say as much, once they leave
  auto frame = NewFrame();
  frame->mutable_heartbeat()->set_last_step_id(last_step_id);
  Enqueue(std::move(frame));
}

void Attachment::Leave() {
  std::lock_guard lock(mutex_);
  if (!welcomed_) {
    no_more_steps_ = true;
    changed_.notify_all();
    return;
  }
  auto frame = NewFrame();
  frame->mutable_leaving();
  Enqueue(std::move(frame));
}

absl::Status Attachment::Finish(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  if (!writing_) WriteNext();
  if (!changed_.wait_for(lock, patience, [&] { return read_ended_; }) || !cause_.ok()) {
    context_.TryCancel();
    changed_.wait(lock, [&] { return read_ended_; });
  }
  lock.unlock();
  RemoveHold();
  lock.lock();
  changed_.wait(lock, [&] { return done_; });
  return cause_.ok() ? status_ : cause_;
}

void Attachment::OnReadDone(bool ok) {
  {
    std::lock_guard lock(mutex_);
    if (!ok) {
      read_ended_ = true;
      changed_.notify_all();
      return;
    }
    HandleCommand();
  }
  StartRead(&in_);
}

void Attachment::HandleCommand() {
  if (!welcomed_) {
    if (no_more_steps_) return;
    if (in_.has_not_leader()) {
      leader_ = in_.not_leader().address();
      return Break(absl::UnavailableError("this scheduler stands by"));
    }
    if (!in_.has_welcome()) return Break(absl::InternalError("the first frame is no Welcome"));
    if (in_.epoch() < options_.min_epoch) {
      return Break(absl::AbortedError(absl::StrCat("this scheduler's term ", in_.epoch(),
                                                   " has been replaced by ", options_.min_epoch)));
    }
    epoch_ = in_.epoch();
    heartbeat_ = std::chrono::milliseconds(in_.welcome().heartbeat_ms());
    if (heartbeat_.count() == 0) return Break(absl::InternalError("Welcome without a heartbeat"));
    welcomed_ = true;
    changed_.notify_all();
    return;
  }
  if (in_.epoch() < epoch_) return;  // late, expected
  if (in_.epoch() > epoch_) {
    return Break(absl::AbortedError(absl::StrCat("a new term began: ", in_.epoch())));
  }
  if (in_.has_step()) {
    HandleStep();
  } else if (in_.has_drain()) {
    no_more_steps_ = true;
    changed_.notify_all();
  } else if (in_.has_not_leader()) {
    leader_ = in_.not_leader().address();
    Break(absl::UnavailableError("this scheduler has handed over"));
  }
}

void Attachment::HandleStep() {
  std::unique_ptr<QueuedStep> step;
  if (spare_steps_.empty()) {
    step = std::make_unique<QueuedStep>();
  } else {
    step = std::move(spare_steps_.back());
    spare_steps_.pop_back();
  }
  if (auto s = FromProto(in_.step(), step->command); !s.ok()) {
    return Break(
        absl::InternalError(absl::StrCat("step ", in_.step().step_id(), ": ", s.message())));
  }
  step->received = Clock::now();
  steps_.push_back(std::move(step));
  changed_.notify_all();
}

void Attachment::Break(absl::Status cause) {
  if (cause_.ok()) cause_ = std::move(cause);
  context_.TryCancel();
  read_ended_ = true;
  changed_.notify_all();
}

std::unique_ptr<v1::WorkerFrame> Attachment::NewFrame() {
  if (spare_frames_.empty()) {
    auto frame = std::make_unique<v1::WorkerFrame>();
    frame->set_epoch(epoch_);
    return frame;
  }
  auto frame = std::move(spare_frames_.back());
  spare_frames_.pop_back();
  frame->Clear();
  frame->set_epoch(epoch_);
  return frame;
}

void Attachment::Enqueue(std::unique_ptr<v1::WorkerFrame> frame) {
  if (read_ended_ || half_closed_) return;
  outbox_.push_back(std::move(frame));
  if (!writing_) WriteNext();
}

void Attachment::WriteNext() {
  if (half_closed_) return;
  if (outbox_.empty()) {
    if (closing_ && !read_ended_) {
      half_closed_ = true;
      StartWritesDone();
    }
    return;
  }
  writing_ = std::move(outbox_.front());
  outbox_.pop_front();
  StartWrite(writing_.get());
}

void Attachment::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  spare_frames_.push_back(std::move(writing_));
  if (ok) {
    WriteNext();
  } else {
    outbox_.clear();  // the stream is broken: the read that fails says so
  }
}

void Attachment::OnDone(const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  status_ = FromGrpc(status);
  done_ = true;
  changed_.notify_all();
}

}  // namespace weft::worker
