#include "worker/rpc/worker.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "common/log.h"
#include "common/process_name.h"
#include "worker/rpc/step_codec.h"

namespace weft::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kWelcomePatience = seconds(10);
// What a scheduler may take to close its side once we have closed ours.
constexpr milliseconds kFinishPatience = seconds(5);
// A scheduler that restarts is back within seconds; its streams wait for us.
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
// The scheduler gives a step up after as long (or ten times what it expected).
constexpr seconds kStuckStep{30};

// Trying again will not help: the scheduler has looked at our Hello and said no.
bool IsRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition ||
         status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kUnimplemented;
}

const char* Describe(RowStatus status) {
  switch (status) {
    case RowStatus::kOk:
      return "is well";
    case RowStatus::kNonFinite:
      return "has logits that are not finite";
    case RowStatus::kGrammar:
      return "has a grammar that takes too much to follow";
    case RowStatus::kError:
      break;
  }
  return "has failed";
}

// What a backend throws, as a Status.
template <class Call>
auto Guarded(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& e) {
    return absl::InternalError(e.what());
  }
}

int64_t MicrosBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
}

}  // namespace

Worker::Worker(Backend& backend, WorkerMetrics& metrics, const std::string& scheduler_address,
               PeerTls tls)
    : backend_(backend), metrics_(metrics), addresses_(scheduler_address), tls_(std::move(tls)) {
  hello_.set_worker_id(UniqueProcessName());
  hello_.set_fingerprint(backend.fingerprint());
  hello_.set_device(backend.device());
  ToProto(backend.limits(), *hello_.mutable_limits());
}

absl::Status Worker::Run() {
  milliseconds pause = kFirstPause;
  absl::Status last_told;
  while (!Stopping()) {
    address_ = addresses_.Next();
    const auto stub = v1::WorkerService::NewStub(PeerChannel(address_, tls_));
    auto attachment = Attachment::Dial(*stub, {.hello = hello_, .min_epoch = epoch_});
    {
      std::lock_guard lock(mutex_);
      attachment_ = attachment.get();
      if (stopping_) attachment->Leave();
    }
    const bool welcomed = attachment->AwaitWelcome(kWelcomePatience);
    absl::Status served = welcomed ? Serve(*attachment) : absl::OkStatus();
    {
      std::lock_guard lock(mutex_);
      attachment_ = nullptr;
    }
    absl::Status ended = attachment->Finish(kFinishPatience);
    if (welcomed) backend_.Reset();
    addresses_.Redirect(attachment->leader());
    if (!served.ok()) return served;
    if (Stopping()) break;
    if (IsRefusal(ended)) {
      return absl::Status(ended.code(), absl::StrCat("the scheduler at ", address_,
                                                     " refuses this worker: ", ended.message()));
    }
    if (welcomed) {
      pause = kFirstPause;
      spdlog::warn("detached from the scheduler at {}: {}", address_,
                   ended.ok() ? "the stream ended" : ended.ToString());
    } else if (ended != last_told) {
      spdlog::warn("no scheduler at {} yet, trying on: {}", address_, ended.ToString());
    }
    last_told = ended;
    Pause(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
  return absl::OkStatus();
}

absl::Status Worker::Serve(Attachment& attachment) {
  epoch_ = attachment.epoch();
  spdlog::info("attached to the scheduler at {}, term {}", address_, epoch_);
  {
    std::lock_guard lock(mutex_);
    attached_ = true;
  }
  metrics_.ready.Set(1);
  last_step_id_ = 0;
  slot_traces_.assign(static_cast<size_t>(backend_.limits().max_rows), {});
  std::thread heartbeats([&] { Heartbeats(attachment); });
  absl::Status served = ServeSteps(attachment);
  {
    std::lock_guard lock(mutex_);
    attached_ = false;
    changed_.notify_all();
  }
  metrics_.ready.Set(0);
  heartbeats.join();
  return served;
}

absl::Status Worker::ServeSteps(Attachment& attachment) {
  StepQueue begun(backend_.limits().max_steps_in_flight);
  std::optional<StepFailure> answering;
  std::thread answers([&] { answering = AnswerSteps(attachment, begun); });
  const std::optional<StepFailure> beginning = BeginSteps(attachment, begun);
  answers.join();
  // One cause may fail both; the step answered is the earlier one.
  if (answering) return TellFailure(attachment, *answering);
  if (beginning) return TellFailure(attachment, *beginning);
  return absl::OkStatus();
}

std::optional<Worker::StepFailure> Worker::BeginSteps(Attachment& attachment, StepQueue& begun) {
  std::optional<StepFailure> failure;
  while (std::unique_ptr<QueuedStep> step = attachment.NextStep()) {
    if (!begun.WaitForRoom()) break;
    step->begun = Clock::now();
    const absl::Status status = Guarded([&] { return backend_.Begin(step->command); });
    if (!status.ok()) {
      failure = {.step_id = step->command.step_id, .status = status};
      break;
    }
    begun.Push(std::move(step));
  }
  begun.Close();  // what has begun is still answered
  return failure;
}

std::optional<Worker::StepFailure> Worker::AnswerSteps(Attachment& attachment, StepQueue& begun) {
  while (true) {
    const Clock::time_point idle_since = Clock::now();
    std::unique_ptr<QueuedStep> step = begun.Pop();
    metrics_.idle_seconds.Increment(
        std::chrono::duration<double>(Clock::now() - idle_since).count());
    if (!step) return std::nullopt;
    if (absl::Status status = AnswerStep(attachment, *step); !status.ok()) {
      begun.Abort();
      attachment.StopSteps();
      return StepFailure{.step_id = step->command.step_id, .status = status};
    }
    begun.Done();
    failures_in_row_ = 0;
    attachment.Recycle(std::move(step));
  }
}

absl::Status Worker::AnswerStep(Attachment& attachment, QueuedStep& step) {
  step_started_ns_ = Clock::now().time_since_epoch().count();
  absl::StatusOr<StepResult> result = Guarded([&] { return backend_.Await(); });
  step_started_ns_ = 0;
  if (!result.ok()) return result.status();
  last_step_id_ = result->step_id;
  result->queue_us = MicrosBetween(step.received, step.begun);
  attachment.SendDone(*result);
  metrics_.CountStep(step.command, *result);
  LogFailedRows(step.command, *result);
  return absl::OkStatus();
}

void Worker::LogFailedRows(const StepCommand& command, const StepResult& result) {
  for (const SlotEntry& entry : command.entries) slot_traces_[entry.slot] = entry.trace;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    if (result.rows[i].status == RowStatus::kOk) continue;
    const LogTrace log_trace(slot_traces_[command.rows[i].slot]);
    spdlog::error("step {}: row {} {}: its request ends", result.step_id, i,
                  Describe(result.rows[i].status));
  }
}

// OK: this stream is at its end, but the worker may attach anew.
absl::Status Worker::TellFailure(Attachment& attachment, const StepFailure& failure) {
  const std::string message(failure.status.message());
  spdlog::error("step {} failed: {}", failure.step_id, failure.status.ToString());
  attachment.SendFault(failure.step_id, message);
  // A command that breaks the contract says nothing about the device.
  if (failure.status.code() == absl::StatusCode::kInvalidArgument) {
    metrics_.errors_contract.Increment();
    return absl::OkStatus();
  }
  metrics_.errors_step.Increment();
  if (++failures_in_row_ < 2) return absl::OkStatus();
  return absl::Status(failure.status.code(),
                      absl::StrCat("the device failed twice in a row, last: ", message));
}

void Worker::Heartbeats(Attachment& attachment) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, attachment.heartbeat_interval(), [&] { return !attached_; })) {
    lock.unlock();
    attachment.SendHeartbeat(last_step_id_);
    lock.lock();
  }
}

void Worker::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  if (attachment_) attachment_->Leave();
  changed_.notify_all();
}

absl::Status Worker::Ready() const {
  std::lock_guard lock(mutex_);
  if (stopping_) return absl::UnavailableError("draining");
  if (!attached_) {
    return absl::UnavailableError(absl::StrCat("not attached to the scheduler at ", address_));
  }
  const int64_t started_ns = step_started_ns_;
  if (started_ns != 0 &&
      Clock::now().time_since_epoch() - std::chrono::nanoseconds(started_ns) > kStuckStep) {
    return absl::UnavailableError("a step does not end");
  }
  return absl::OkStatus();
}

bool Worker::Stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void Worker::Pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [&] { return stopping_; });
}

}  // namespace weft::worker
