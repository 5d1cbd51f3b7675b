// weft_worker_gpu_*: the card's memory, power, temperature and utilization, read whenever the
// metrics are.
#pragma once

#include <string>

#include "common/metrics.h"

namespace weft::worker {

// Of the GPU at `pci_bus_id`, for as long as `metrics` lives. Each figure that the card tells
// is a gauge with the label UUID, as NVIDIA's own exporter has it. Where the driver's library
// is not at hand, the log says so and there are none.
void WatchGpu(const std::string& pci_bus_id, Metrics& metrics,
              const std::string& library = "libnvidia-ml.so.1");

}  // namespace weft::worker
