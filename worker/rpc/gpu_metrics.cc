#include "worker/rpc/gpu_metrics.h"

#include <spdlog/spdlog.h>

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "worker/rpc/gpu_sensors.h"

namespace weft::worker {
namespace {

struct Figure {
  double GpuReading::*value;
  const char* name;
  const char* help;
};

constexpr Figure kFigures[] = {
    {&GpuReading::memory_used_bytes, "weft_worker_gpu_memory_used_bytes",
     "Memory of the GPU that is in use, by whomever; what the driver reserves included."},
    {&GpuReading::memory_total_bytes, "weft_worker_gpu_memory_total_bytes", "Memory of the GPU."},
    {&GpuReading::power_watts, "weft_worker_gpu_power_watts", "Power that the GPU draws."},
    {&GpuReading::temperature_celsius, "weft_worker_gpu_temperature_celsius",
     "Temperature of the GPU."},
    {&GpuReading::utilization_ratio, "weft_worker_gpu_utilization_ratio",
     "Part of the time in which the GPU ran some kernel."},
};

}  // namespace

void WatchGpu(const std::string& pci_bus_id, Metrics& metrics, const std::string& library) {
  auto opened = GpuSensors::Open(pci_bus_id, library);
  if (!opened.ok()) {
    spdlog::warn("no figures of the GPU's memory, power and temperature: {}",
                 std::string(opened.status().message()));
    return;
  }
  const std::shared_ptr<GpuSensors> sensors = *std::move(opened);
  const GpuReading now = sensors->Read();
  std::vector<std::pair<double GpuReading::*, prometheus::Gauge*>> told;
  for (const Figure& figure : kFigures) {
    if (std::isnan(now.*figure.value)) continue;
    told.emplace_back(figure.value,
                      &metrics.Gauge(figure.name, figure.help, {{"UUID", sensors->uuid()}}));
  }
  metrics.BeforeText([sensors, told] {
    const GpuReading reading = sensors->Read();
    for (const auto& [value, gauge] : told) gauge->Set(reading.*value);
  });
}

}  // namespace weft::worker
