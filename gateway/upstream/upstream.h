// The gateway's connection to its scheduler: a Session driven by one thread, over
// one gRPC stream that is dialled again whenever it breaks.
//
// Sinks are called on that thread, and so is what Post brings: neither may block.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "common/metrics.h"
#include "common/peer_tls.h"
#include "gateway/upstream/session.h"

namespace weft::gateway {

struct UpstreamOptions {
  std::string address;  // of the scheduler, host:port, or several (PeerAddresses)
  PeerTls tls;
  std::string model;  // served there: a label of the metrics
  SessionOptions session;
  // Between attempts, doubling from the first to the last while they fail.
  std::chrono::milliseconds first_redial{50};
  std::chrono::milliseconds last_redial{1000};
};

// Thread safety: any thread, at once.
class Upstream {
 public:
  Upstream(UpstreamOptions options, Metrics& metrics);
  // Ends the stream; the scheduler cancels what is still open. Sinks hear nothing
  // more.
  ~Upstream();

  SequenceId Open(Submission submission, std::shared_ptr<SequenceSink> sink);
  // The sink may hear what was on its way; after that nothing.
  void Cancel(SequenceId id);
  // Runs `task` on the session's thread, soon.
  void Post(std::function<void()> task);

  SchedulerState state() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace weft::gateway
