// What a seed decides once, before anything happens.
#pragma once

#include <cstddef>
#include <vector>

#include "scheduler/rpc/group.h"
#include "sim/model_worker.h"
#include "sim/random.h"

namespace weft::sim {

struct FaultWorld {
  int num_gateways = 1;
  int num_workers = 1;
  int num_requests = 60;  // at least
  // As many clients as wait at a time; others come later.
  int max_open_requests = 40;
  core::Micros mean_arrival = 1000;
  int vocab_size = 100;
  std::vector<core::WorkerLimits> limits;  // by worker
  ModelFaults model_faults;
  scheduler::GroupOptions group;  // but for epoch and hash key
  size_t max_outbox_bytes = 1 << 20;
  core::Micros consume_time = 200;  // of a frame by a gateway, at most
  // How long a gateway's sequences wait for a scheduler. By default longer than any outage:
  // one that ends for want of it is an error.
  // Whole milliseconds.
  core::Micros recovery_wait = 600'000'000;
  core::Micros mean_fault = 100'000;  // from one to the next
  std::vector<TokenId> shared_prompt;

  // Chances, each of a step or of a request.
  double slow = 0;
  double cancel = 0;
  double conclude = 0;
  double deadline = 0;

  // No worker holds less.
  int smallest_capacity() const;
};

FaultWorld DrawFaultWorld(Random& random);

}  // namespace weft::sim
