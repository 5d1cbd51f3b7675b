// A pool of workers under traffic, without a worker: the scheduler's real core on
// simulated time, and steps that take as long as a GPU's roofline says
// (step_time.h). One set of arguments, one result, on any machine.
//
// What it leaves out takes no time: the network, the gateway, the host's work
// between steps. A worker has two steps in flight, as on a GPU, so that it begins
// one as soon as the one before ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/core/core.h"
#include "sim/pool/timeline.h"
#include "sim/pool/traffic.h"
#include "sim/step_time.h"

namespace weft::sim {

struct PoolOptions {
  GpuRoofline gpu = *FindGpu("H200");  // of each worker
  ModelShape shape = Qwen2_1_5B();
  double speed = 1;  // steps take 1/speed of their time
  int num_workers = 1;
  int num_blocks = 0;  // of each worker; at least 1
  int max_num_seqs = 256;
  int max_num_batched_tokens = 8192;  // at least max_num_seqs
  int max_context_tokens = 131072;
  // Requests that clients have open at one time; the others wait on the clients'
  // side, and their times count from when they are sent. 0: no limit.
  int max_concurrency = 0;
  core::Config scheduler;
};

// A request that got its answer. Times count from when it was sent.
struct CompletedRequest {
  core::Micros ttft = 0;  // to its first token
  core::Micros e2e = 0;   // to its last one
  int num_input_tokens = 0;
  int num_output_tokens = 0;
};

// Requests that got no answer, and what the first of them was told.
struct Refusals {
  int64_t count = 0;
  std::string example;
};

struct PoolReport {
  core::Micros duration = 0;                // from the first arrival to the last end
  std::vector<CompletedRequest> completed;  // in the order of their ends
  std::vector<float> itl_ms;                // between a request's tokens, of all requests
  Refusals rejected_by_queue;               // the core's kQueueFull
  Refusals rejected_for_size;               // no worker can ever run it
  Refusals failed;                          // accepted, and not completed
  int64_t num_cut_answers = 0;              // completed, but ended by the pool's or context's size
  core::Counters counters;
  int64_t num_rows = 0;            // over all steps
  core::Micros busy = 0;           // sum of the steps' times, over all workers
  int64_t num_blocks_total = 0;    // of all workers
  int64_t peak_blocks_in_use = 0;  // at one time, likewise
  Timeline timeline;
};

// `arrivals` in the order of time. Runs until each has its end.
PoolReport SimulatePool(const PoolOptions& options, const std::vector<Arrival>& arrivals);

}  // namespace weft::sim
