// What the driver tells of a GPU, through NVML. The library is part of the driver and looked
// for at run time: machines without a GPU have none, and the binary does not link it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace weft::worker {

// Of the whole card, whoever uses it. NaN: it does not tell.
struct GpuReading {
  double memory_used_bytes;
  double memory_total_bytes;
  double power_watts;
  double temperature_celsius;
  double utilization_ratio;  // part of the last moments in which some kernel ran
};

class GpuSensors {
 public:
  // Of the GPU at `pci_bus_id`, as CUDA names it: "0000:1B:00.0" (NVML's own numbers count
  // the cards that CUDA_VISIBLE_DEVICES hides). NotFound: no such library, or no such card.
  static absl::StatusOr<std::unique_ptr<GpuSensors>> Open(
      const std::string& pci_bus_id, const std::string& library = "libnvidia-ml.so.1");
  ~GpuSensors();

  // "GPU-...": by which other exporters name it, too.
  const std::string& uuid() const;

  // Takes microseconds. One thread at a time.
  GpuReading Read() const;

 private:
  struct Nvml;
  explicit GpuSensors(std::unique_ptr<Nvml> nvml);
  const std::unique_ptr<Nvml> nvml_;
};

}  // namespace weft::worker
