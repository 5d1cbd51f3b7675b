// A simulated gateway: the real session over simulated streams.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/upstream/session.h"
#include "sim/faults/process.h"

namespace weft::sim {

// A gateway without its clients' side: the session, and the stream that it dials again
// whenever it ends.
class GatewayProcess final : public Process, public std::enable_shared_from_this<GatewayProcess> {
 public:
  GatewayProcess(Environment& environment, std::string name, int num_schedulers,
                 Micros consume_time, Micros recovery_wait);

  void Start() {
    Post([this] { Dial(); });
  }
  void Open(gateway::SequenceId id, gateway::Submission submission,
            std::shared_ptr<gateway::SequenceSink> sink);
  // `done`: from here on its sink hears nothing.
  void Cancel(gateway::SequenceId id, std::function<void()> done);
  void Crash();
  const std::shared_ptr<GatewayLink>& link() const { return link_; }
  size_t num_open() const { return session_.num_open(); }
  gateway::MonotonicTime time() const {
    return gateway::MonotonicTime(std::chrono::microseconds(own_now()));
  }

 private:
  void Turn() override;
  void Dial();
  void OnLinkEnd();

  const int num_schedulers_;
  const Micros consume_time_;  // of a frame; a slow gateway's is long
  gateway::Session session_;
  std::shared_ptr<GatewayLink> link_;
  int next_scheduler_ = 0;
  Micros redial_after_ = 50'000;
};

}  // namespace weft::sim
