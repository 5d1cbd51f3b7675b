// A gateway for tests: one session, everything it was told, in order.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "weft/v1/scheduler.grpc.pb.h"

namespace weft::scheduler {

// What one handle has received.
struct Choice {
  std::vector<int32_t> tokens;
  uint32_t first_index = 0;  // of tokens[0]
  size_t num_logprobs = 0;
  std::vector<uint32_t> prompt_positions;  // that logprobs came for, in order
  std::optional<v1::Finished> finished;
  std::optional<v1::Rejected> rejected;
  bool contiguous = true;  // every frame went on where the one before ended
  int num_ends = 0;
  bool done() const { return finished || rejected; }
};

class GatewayClient {
 public:
  // Dials and waits for Welcome.
  explicit GatewayClient(const std::string& address);
  ~GatewayClient();  // Break

  bool welcomed() const { return epoch_ != 0; }
  std::string leader();  // that it was told of
  uint64_t epoch() const { return epoch_; }

  // `submit` without a handle gets the next one, which is returned.
  uint32_t Submit(v1::Submit submit);
  void Conclude(uint32_t handle, uint32_t num_tokens);
  void Cancel(uint32_t handle);
  void Send(v1::GatewayFrame frame);

  // Blocks until it holds, or 20 s are over: false.
  bool AwaitDone(uint32_t handle);
  bool AwaitTokens(uint32_t handle, size_t num_tokens);
  bool AwaitLoad(std::function<bool(const v1::Load&)> holds);
  bool AwaitEnd();  // of the stream

  Choice Get(uint32_t handle);
  v1::Load LastLoad();
  int num_frames();

  // While paused nothing is read, as by a gateway that hangs.
  void PauseReading(bool paused);

  // The stream ends without a word, as when the process dies.
  void Break();

 private:
  void Read();
  template <typename Condition>
  bool Await(Condition condition);

  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::SchedulerService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::GatewayFrame, v1::SchedulerFrame>> stream_;
  uint64_t epoch_ = 0;
  uint32_t next_handle_ = 1;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool paused_ = false;
  bool ended_ = false;
  int num_frames_ = 0;
  std::map<uint32_t, Choice> choices_;
  v1::Load load_;
  bool has_load_ = false;
  std::string leader_;
  std::thread reader_;
};

}  // namespace weft::scheduler
