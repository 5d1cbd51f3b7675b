#include "sim/pool/traffic.h"

#include <cmath>

namespace weft::sim {
namespace {

// In (0, 1]: it has a logarithm.
double Positive(Random& random) { return 1 - random.Unit(); }

// Of shape `shape` and mean 1. Marsaglia's and Tsang's method (2000); below 1 theirs for
// shape + 1, times U^(1/shape).
double DrawGamma(Random& random, double shape) {
  if (shape == 1) return -std::log1p(-random.Unit());
  if (shape < 1) {
    const double power = std::pow(Positive(random), 1 / shape);
    return DrawGamma(random, shape + 1) * (shape + 1) / shape * power;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = DrawNormal(random), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(Positive(random)) < x * x / 2 + d * (1 - v + std::log(v))) return d * v / shape;
  }
}

}  // namespace

std::vector<Arrival> DrawTraffic(const TrafficOptions& options) {
  // A stream of its own for each kind of draw: then one leaves the others alone.
  Random seeds(options.seed);
  Random gaps(seeds.Next()), inputs(seeds.Next()), outputs(seeds.Next()), prefixes(seeds.Next());
  const bool has_rate = options.request_rate > 0 && std::isfinite(options.request_rate);
  double now_s = 0;
  std::vector<Arrival> arrivals(options.num_requests);
  for (Arrival& arrival : arrivals) {
    arrival.at = std::llround(1e6 * now_s);
    if (has_rate) now_s += DrawGamma(gaps, options.burstiness) / options.request_rate;
    arrival.num_input_tokens = options.prefix_len + options.input.Draw(inputs);
    arrival.num_output_tokens = options.output.Draw(outputs);
    arrival.num_prefix_tokens = options.prefix_len;
    arrival.prefix = prefixes.Between(0, options.num_prefixes - 1);
  }
  return arrivals;
}

}  // namespace weft::sim
