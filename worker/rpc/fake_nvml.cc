// A driver library with one card, for gpu_sensors_test: it tells all but its power.
#include <cstring>

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* pci_bus_id, void** device) {
  static int card;
  *device = &card;
  return std::strcmp(pci_bus_id, "0000:1B:00.0") == 0 ? 0 : 6;
}

int nvmlDeviceGetUUID(void*, char* uuid, unsigned int size) {
  std::strncpy(uuid, "GPU-5c0ffee", size);
  return 0;
}

int nvmlDeviceGetMemoryInfo(void*, unsigned long long* total_free_used) {
  total_free_used[0] = 80'000'000'000;
  total_free_used[1] = 30'000'000'000;
  total_free_used[2] = 50'000'000'000;
  return 0;
}

int nvmlDeviceGetPowerUsage(void*, unsigned int*) { return 3; }  // not supported

int nvmlDeviceGetTemperature(void*, int sensor, unsigned int* celsius) {
  *celsius = 61;
  return sensor == 0 ? 0 : 2;
}

int nvmlDeviceGetUtilizationRates(void*, unsigned int* gpu_memory) {
  gpu_memory[0] = 97;
  gpu_memory[1] = 40;
  return 0;
}
}
