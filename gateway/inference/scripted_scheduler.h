// A scheduler that does what a test tells it to, over a real stream on loopback.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "weft/v1/scheduler.grpc.pb.h"

namespace weft::gateway {

class ScriptedScheduler final : public v1::SchedulerService::Service {
 public:
  static constexpr int kContext = 500;

  // A gateway's stream ends when the scheduler does. `port` 0 takes a free one.
  explicit ScriptedScheduler(int port = 0, uint64_t epoch = 1, uint32_t num_workers = 1)
      : epoch_(epoch), num_workers_(num_workers) {
    grpc::ServerBuilder builder;
    ConfigurePeerServer(builder, absl::StrCat("127.0.0.1:", port), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  ~ScriptedScheduler() override { Stop(); }

  void Stop() {
    if (server_ == nullptr) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_ = nullptr;
  }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // The next frame that a gateway sends, past hello; fails the test after 10 s.
  v1::GatewayFrame Next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [this] { return !frames_.empty(); })) {
      ADD_FAILURE() << "the gateway said nothing";
      return {};
    }
    v1::GatewayFrame frame = std::move(frames_.front());
    frames_.pop_front();
    return frame;
  }

  // That Next would give.
  size_t num_frames() {
    std::lock_guard lock(mutex_);
    return frames_.size();
  }

  void Send(v1::SchedulerFrame frame) {
    std::lock_guard lock(mutex_);
    frame.set_epoch(epoch_);
    if (stream_ != nullptr) stream_->Write(frame);
  }

  void SendTokens(uint32_t handle, uint32_t first, const std::vector<int32_t>& ids,
                  const std::vector<float>& logprobs = {}) {
    v1::SchedulerFrame frame;
    v1::Tokens& tokens = *frame.mutable_tokens();
    tokens.add_handles(handle);
    tokens.add_first_indexes(first);
    tokens.add_counts(static_cast<uint32_t>(ids.size()));
    for (int32_t id : ids) tokens.add_tokens(id);
    for (size_t i = 0; i < logprobs.size(); ++i) {
      v1::TokenLogprobs& one = *tokens.add_logprobs();
      one.set_logprob(logprobs[i]);
      one.add_top_tokens(ids[i]);
      one.add_top_logprobs(logprobs[i]);
    }
    Send(std::move(frame));
  }

  // Of the prompt's positions from `first` on; the best alternative of each is id 'z'.
  void SendPromptLogprobs(uint32_t handle, uint32_t first, const std::vector<float>& logprobs) {
    v1::SchedulerFrame frame;
    v1::PromptLogprobsPart& part = *frame.add_prompt_logprobs();
    part.set_handle(handle);
    part.mutable_logprobs()->set_first_position(first);
    part.mutable_logprobs()->set_num_top(1);
    for (float logprob : logprobs) {
      part.mutable_logprobs()->add_logprobs(logprob);
      part.mutable_logprobs()->add_ranks(2);
      part.mutable_logprobs()->add_top_tokens('z');
      part.mutable_logprobs()->add_top_logprobs(-0.5f);
    }
    Send(std::move(frame));
  }

  void Finish(uint32_t handle, v1::FinishReason reason, uint32_t num_cached = 0,
              const std::string& message = "") {
    v1::SchedulerFrame frame;
    v1::Finished& finished = *frame.add_finished();
    finished.set_handle(handle);
    finished.set_reason(reason);
    finished.set_num_cached_tokens(num_cached);
    finished.set_message(message);
    Send(std::move(frame));
  }

  void Reject(uint32_t handle, v1::RejectCode code, const std::string& message,
              uint32_t retry_after_ms) {
    v1::SchedulerFrame frame;
    v1::Rejected& rejected = *frame.add_rejected();
    rejected.set_handle(handle);
    rejected.set_code(code);
    rejected.set_message(message);
    rejected.set_retry_after_ms(retry_after_ms);
    Send(std::move(frame));
  }

 private:
  grpc::Status Session(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::SchedulerFrame, v1::GatewayFrame>* stream) override {
    v1::GatewayFrame frame;
    if (!stream->Read(&frame) || !frame.has_hello()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "hello comes first"};
    }
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return grpc::Status::CANCELLED;
      context_ = context;
      v1::SchedulerFrame welcome;
      welcome.set_epoch(epoch_);
      welcome.mutable_welcome();
      welcome.mutable_load()->set_num_ready_workers(num_workers_);
      v1::ModelFacts& model = *welcome.mutable_load()->mutable_model();
      model.set_fingerprint("tiny");
      model.set_max_context_tokens(kContext);
      model.set_kv_tokens(4096);
      model.set_vocab_size(269);
      stream->Write(welcome);
      stream_ = stream;
    }
    while (stream->Read(&frame)) {
      std::lock_guard lock(mutex_);
      frames_.push_back(std::move(frame));
      changed_.notify_all();
    }
    std::lock_guard lock(mutex_);
    stream_ = nullptr;
    context_ = nullptr;
    return grpc::Status::OK;
  }

  const uint64_t epoch_;
  const uint32_t num_workers_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;

  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::deque<v1::GatewayFrame> frames_;
  grpc::ServerReaderWriter<v1::SchedulerFrame, v1::GatewayFrame>* stream_ = nullptr;
  grpc::ServerContext* context_ = nullptr;
  bool stopping_ = false;
};

}  // namespace weft::gateway
