#include "worker/rpc/gpu_sensors.h"

#include <dlfcn.h>

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::worker {
namespace {

// The part of nvml.h that is used here. NVML's ABI is stable: names end in a version where a
// struct changed.
using Device = void*;
using Return = int;
constexpr Return kSuccess = 0;
constexpr int kTemperatureOfChip = 0;

struct Memory {
  unsigned long long total, free, used;
};

struct Utilization {
  unsigned int gpu, memory;  // percent
};

constexpr double kUntold = std::numeric_limits<double>::quiet_NaN();

}  // namespace

struct GpuSensors::Nvml {
  ~Nvml() {
    if (is_begun) shutdown();
    if (library != nullptr) dlclose(library);
  }

  template <class Function>
  bool Find(const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
    return function != nullptr;
  }

  bool FindAll() {
    return Find("nvmlInit_v2", init) && Find("nvmlShutdown", shutdown) &&
           Find("nvmlDeviceGetHandleByPciBusId_v2", by_pci_bus_id) &&
           Find("nvmlDeviceGetUUID", get_uuid) && Find("nvmlDeviceGetMemoryInfo", get_memory) &&
           Find("nvmlDeviceGetPowerUsage", get_power) &&
           Find("nvmlDeviceGetTemperature", get_temperature) &&
           Find("nvmlDeviceGetUtilizationRates", get_utilization);
  }

  void* library = nullptr;
  bool is_begun = false;
  Device device = nullptr;
  std::string uuid;

  Return (*init)() = nullptr;
  Return (*shutdown)() = nullptr;
  Return (*by_pci_bus_id)(const char*, Device*) = nullptr;
  Return (*get_uuid)(Device, char*, unsigned int) = nullptr;
  Return (*get_memory)(Device, Memory*) = nullptr;
  Return (*get_power)(Device, unsigned int*) = nullptr;
  Return (*get_temperature)(Device, int, unsigned int*) = nullptr;
  Return (*get_utilization)(Device, Utilization*) = nullptr;
};

absl::StatusOr<std::unique_ptr<GpuSensors>> GpuSensors::Open(const std::string& pci_bus_id,
                                                             const std::string& library) {
  auto nvml = std::make_unique<Nvml>();
  nvml->library = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (nvml->library == nullptr) return absl::NotFoundError(dlerror());
  if (!nvml->FindAll()) return absl::NotFoundError(absl::StrCat(library, " lacks a function"));
  if (const Return e = nvml->init(); e != kSuccess) {
    return absl::NotFoundError(absl::StrCat("NVML does not begin: error ", e));
  }
  nvml->is_begun = true;
  char uuid[96] = "";
  if (nvml->by_pci_bus_id(pci_bus_id.c_str(), &nvml->device) != kSuccess ||
      nvml->get_uuid(nvml->device, uuid, sizeof uuid) != kSuccess) {
    return absl::NotFoundError(absl::StrCat("NVML knows no GPU at ", pci_bus_id));
  }
  nvml->uuid = uuid;
  return std::unique_ptr<GpuSensors>(new GpuSensors(std::move(nvml)));
}

GpuSensors::GpuSensors(std::unique_ptr<Nvml> nvml) : nvml_(std::move(nvml)) {}

GpuSensors::~GpuSensors() = default;

const std::string& GpuSensors::uuid() const { return nvml_->uuid; }

GpuReading GpuSensors::Read() const {
  GpuReading reading{kUntold, kUntold, kUntold, kUntold, kUntold};
  const Device device = nvml_->device;
  if (Memory memory; nvml_->get_memory(device, &memory) == kSuccess) {
    reading.memory_used_bytes = static_cast<double>(memory.used);
    reading.memory_total_bytes = static_cast<double>(memory.total);
  }
  if (unsigned int milliwatts; nvml_->get_power(device, &milliwatts) == kSuccess) {
    reading.power_watts = milliwatts * 1e-3;
  }
  if (unsigned int celsius;
      nvml_->get_temperature(device, kTemperatureOfChip, &celsius) == kSuccess) {
    reading.temperature_celsius = celsius;
  }
  if (Utilization percent; nvml_->get_utilization(device, &percent) == kSuccess) {
    reading.utilization_ratio = percent.gpu * 1e-2;
  }
  return reading;
}

}  // namespace weft::worker
