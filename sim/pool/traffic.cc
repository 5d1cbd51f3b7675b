#include "sim/pool/traffic.h"

#include <cmath>

namespace weft::sim {

std::vector<Arrival> DrawTraffic(const TrafficOptions& options) {
  // A stream of its own for each kind of draw: then one leaves the others alone.
  Random seeds(options.seed);
  Random gaps(seeds.Next()), inputs(seeds.Next()), outputs(seeds.Next()), prefixes(seeds.Next());
  const bool has_rate = options.request_rate > 0 && std::isfinite(options.request_rate);
  double now_s = 0;
  std::vector<Arrival> arrivals(options.num_requests);
  for (Arrival& arrival : arrivals) {
    arrival.at = std::llround(1e6 * now_s);
    if (has_rate) now_s -= std::log1p(-gaps.Unit()) / options.request_rate;
    arrival.num_input_tokens = options.prefix_len + options.input.Draw(inputs);
    arrival.num_output_tokens = options.output.Draw(outputs);
    arrival.num_prefix_tokens = options.prefix_len;
    arrival.prefix = prefixes.Between(0, options.num_prefixes - 1);
  }
  return arrivals;
}

}  // namespace weft::sim
