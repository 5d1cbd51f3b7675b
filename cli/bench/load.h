// Runs a load: threads, each with its own connections, until every request is over.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <vector>

#include "cli/bench/answer_check.h"
#include "cli/bench/connection.h"
#include "cli/bench/statistics.h"
#include "cli/bench/workload.h"

namespace weft::bench {

// How far a load is.
struct LoadProgress {
  double elapsed_s = 0;
  int num_ended = 0;
  int num_open = 0;
  int64_t num_text_events = 0;
};

struct LoadPlan {
  boost::asio::ip::tcp::endpoint endpoint;
  TlsClient* tls = nullptr;  // nullptr: plain
  const Workload& workload;
  int64_t first_index = 0;       // of the workload's requests, which go out in order
  std::vector<double> arrivals;  // seconds, ascending; one for each request
  // Latencies count from the arrivals; else from sending.
  bool has_schedule = false;
  int max_concurrency = 0;  // 0: no limit
  int num_threads = 1;
  double timeout_s = 3600;
  const AnswerCheck* check = nullptr;  // nullptr: any answer is right
  // Called on the caller's thread, twice a second.
  std::function<void(const LoadProgress&)> on_progress;
};

struct LoadOutcome {
  Measurements measured;
  double duration_s = 0;  // from the start to the last request's end
  int peak_concurrency = 0;
  double cpu_s = 0;                 // of all threads
  double busiest_thread_cpu_s = 0;  // near duration_s: the generator was the bottleneck
};

// Blocks until all requests are over.
LoadOutcome RunLoad(const LoadPlan& plan);

}  // namespace weft::bench
