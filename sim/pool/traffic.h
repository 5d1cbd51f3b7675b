// Who asks when, and for how much: the traffic that a simulated pool or a real server
// is put under. Drawn from distributions by a seed, or recorded (trace.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/core/types.h"
#include "sim/pool/lengths.h"

namespace weft::sim {

// One request, before anybody has served it.
struct Arrival {
  core::Micros at = 0;        // after the start
  int num_input_tokens = 0;   // the prompt, its prefix included
  int num_output_tokens = 0;  // it goes on for exactly that long, if the pool lets it
  // Prompts of equal `prefix` begin with the same tokens, as far as both have them;
  // what follows is a prompt's own. At most num_input_tokens.
  int num_prefix_tokens = 0;
  uint64_t prefix = 0;
  std::string tenant;
  int priority = 0;  // smaller goes first
};

struct TrafficOptions {
  int num_requests = 1000;
  double request_rate = 0;  // arrivals a second; 0 or infinite: all at 0
  // The gaps' gamma shape: 1 is a Poisson process, less comes in bursts, more evenly. Above 0.
  double burstiness = 1;
  LengthDistribution input = LengthDistribution::Fixed(512);  // behind the prefix
  LengthDistribution output = LengthDistribution::Fixed(256);
  int prefix_len = 0;    // tokens
  int num_prefixes = 1;  // equally often
  uint64_t seed = 0;
};

// In the order of arrival, the first at 0. Another rate or burstiness leaves each
// request's lengths and prefix as they are.
std::vector<Arrival> DrawTraffic(const TrafficOptions& options);

}  // namespace weft::sim
