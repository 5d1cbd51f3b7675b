// What servers tell of themselves that explains a load's figures, under the names that the
// known ones have for it. Prometheus's text format.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::bench {

struct ServerMetric {
  const char* title;  // in the table
  const char* key;    // in the JSON
  enum class Kind {
    kSum,      // over every series and server
    kMax,      // likewise
    kCounter,  // a sum that grows: what a run adds to it matters
  } kind;
  struct Source {
    const char* name;
    double factor = 1;  // to the metric's unit
  };
  std::vector<Source> sources;  // as Weft, vLLM, llama.cpp and NVIDIA's exporter name it
};

const std::vector<ServerMetric>& ServerMetrics();

// Of each of ServerMetrics(), over all `texts`; nullopt: none of them tells.
std::vector<std::optional<double>> ReadServerMetrics(const std::vector<std::string>& texts);

}  // namespace weft::bench
