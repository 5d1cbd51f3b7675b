// Runs a load: threads, each with its own connections, until every request is over.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cli/bench/statistics.h"

namespace weft::bench {

struct LoadPlan {
  boost::asio::ip::tcp::endpoint endpoint;
  std::vector<double> arrivals;  // seconds, ascending; one for each request
  int max_concurrency = 0;       // 0: no limit
  int num_threads = 1;
  double timeout_s = 3600;
  // Called on every thread.
  std::function<void(int index, std::string& out)> write_request;
  // Whether an answer is right, likewise; empty: anything is.
  std::function<absl::Status(int index, std::string_view text, int64_t num_tokens)> check;
  // Called on the caller's thread, twice a second.
  std::function<void(int num_ended, int num_open)> on_progress;
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
