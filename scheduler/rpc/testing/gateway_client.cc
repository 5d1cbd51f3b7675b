#include "scheduler/rpc/testing/gateway_client.h"

#include <chrono>

#include "common/grpc_channel.h"

namespace weft::scheduler {

GatewayClient::GatewayClient(const std::string& address)
    : channel_(PeerChannel(address)), stub_(v1::SchedulerService::NewStub(channel_)) {
  context_.set_wait_for_ready(true);
  stream_ = stub_->Session(&context_);
  v1::GatewayFrame hello;
  hello.mutable_hello()->set_gateway_id("test");
  stream_->Write(hello);
  v1::SchedulerFrame frame;
  if (stream_->Read(&frame) && frame.has_welcome()) epoch_ = frame.epoch();
  leader_ = frame.not_leader().address();
  if (frame.has_load()) {
    load_ = frame.load();
    has_load_ = true;
  }
  reader_ = std::thread([this] { Read(); });
}

GatewayClient::~GatewayClient() {
  Break();
  reader_.join();
  stream_->Finish();
}

void GatewayClient::Break() {
  PauseReading(false);
  context_.TryCancel();
}

uint32_t GatewayClient::Submit(v1::Submit submit) {
  if (submit.handle() == 0) submit.set_handle(next_handle_++);
  const uint32_t handle = submit.handle();
  v1::GatewayFrame frame;
  *frame.mutable_submit() = std::move(submit);
  Send(std::move(frame));
  return handle;
}

void GatewayClient::Conclude(uint32_t handle, uint32_t num_tokens) {
  v1::GatewayFrame frame;
  frame.mutable_conclude()->set_handle(handle);
  frame.mutable_conclude()->set_num_tokens(num_tokens);
  Send(std::move(frame));
}

void GatewayClient::Cancel(uint32_t handle) {
  v1::GatewayFrame frame;
  frame.mutable_cancel()->set_handle(handle);
  Send(std::move(frame));
}

void GatewayClient::Send(v1::GatewayFrame frame) {
  if (frame.epoch() == 0) frame.set_epoch(epoch_);
  stream_->Write(frame);
}

template <typename Condition>
bool GatewayClient::Await(Condition condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), condition);
}

bool GatewayClient::AwaitDone(uint32_t handle) {
  return Await([&] { return choices_[handle].done(); });
}

bool GatewayClient::AwaitTokens(uint32_t handle, size_t num_tokens) {
  return Await([&] { return choices_[handle].tokens.size() >= num_tokens; });
}

bool GatewayClient::AwaitLoad(std::function<bool(const v1::Load&)> holds) {
  return Await([&] { return has_load_ && holds(load_); });
}

bool GatewayClient::AwaitEnd() {
  return Await([&] { return ended_; });
}

Choice GatewayClient::Get(uint32_t handle) {
  std::lock_guard lock(mutex_);
  return choices_[handle];
}

v1::Load GatewayClient::LastLoad() {
  std::lock_guard lock(mutex_);
  return load_;
}

std::string GatewayClient::leader() {
  std::lock_guard lock(mutex_);
  return leader_;
}

int GatewayClient::num_frames() {
  std::lock_guard lock(mutex_);
  return num_frames_;
}

void GatewayClient::PauseReading(bool paused) {
  std::lock_guard lock(mutex_);
  paused_ = paused;
  changed_.notify_all();
}

void GatewayClient::Read() {
  v1::SchedulerFrame frame;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !paused_; });
    }
    const bool ok = stream_->Read(&frame);
    std::lock_guard lock(mutex_);
    if (!ok) {
      ended_ = true;
      changed_.notify_all();
      return;
    }
    ++num_frames_;
    if (frame.has_not_leader()) leader_ = frame.not_leader().address();
    if (frame.has_load()) {
      load_ = frame.load();
      has_load_ = true;
    }
    for (const v1::PromptLogprobsPart& part : frame.prompt_logprobs()) {
      Choice& choice = choices_[part.handle()];
      if (!choice.tokens.empty()) choice.contiguous = false;
      for (int i = 0; i < part.logprobs().logprobs_size(); ++i) {
        choice.prompt_positions.push_back(part.logprobs().first_position() + i);
      }
    }
    int next = 0;
    int next_logprobs = 0;
    const v1::Tokens& tokens = frame.tokens();
    for (int i = 0; i < tokens.handles_size(); ++i) {
      Choice& choice = choices_[tokens.handles(i)];
      if (choice.tokens.empty()) choice.first_index = tokens.first_indexes(i);
      if (choice.first_index + choice.tokens.size() != tokens.first_indexes(i) || choice.done()) {
        choice.contiguous = false;
      }
      for (uint32_t j = 0; j < tokens.counts(i); ++j)
        choice.tokens.push_back(tokens.tokens(next++));
      next_logprobs = tokens.logprobs_size();
    }
    if (tokens.handles_size() == 1) choices_[tokens.handles(0)].num_logprobs += next_logprobs;
    for (const v1::Finished& f : frame.finished()) {
      choices_[f.handle()].finished = f;
      ++choices_[f.handle()].num_ends;
    }
    for (const v1::Rejected& r : frame.rejected()) {
      choices_[r.handle()].rejected = r;
      ++choices_[r.handle()].num_ends;
    }
    changed_.notify_all();
  }
}

}  // namespace weft::scheduler
