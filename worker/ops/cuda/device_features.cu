#include "worker/ops/cuda/device_features.h"

namespace weft::worker::ops::cuda {
namespace {

__global__ void NothingKernel() {}

// What the code was compiled for is an attribute of every kernel. 0: there is none.
cudaError_t QueryCode(int* capability) {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, NothingKernel);
  *capability = error == cudaSuccess ? attributes.ptxVersion : 0;
  if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction &&
      error != cudaErrorUnsupportedPtxVersion) {
    return error;
  }
  cudaGetLastError();  // not a later call's
  return cudaSuccess;
}

std::string Dotted(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

cudaError_t Query(DeviceFeatures& device) {
  int index = 0;
  cudaDeviceProp properties;
  if (auto e = cudaGetDevice(&index); e != cudaSuccess) return e;
  if (auto e = cudaGetDeviceProperties(&properties, index); e != cudaSuccess) return e;
  device.name = properties.name;
  device.capability = properties.major * 10 + properties.minor;
  device.num_sms = properties.multiProcessorCount;
  device.shared_bytes = static_cast<int>(properties.sharedMemPerBlockOptin);
  return QueryCode(&device.code_capability);
}

}  // namespace

const DeviceFeatures& CurrentDevice() {
  static const DeviceFeatures device = [] {
    DeviceFeatures asked;
    asked.error = Query(asked);
    return asked;
  }();
  return device;
}

std::string WhyUnusable(const DeviceFeatures& device) {
  if (device.error != cudaSuccess) {
    return std::string("the GPU does not answer: ") + cudaGetErrorString(device.error);
  }
  if (device.capability < kLeastCapability) {
    return "the CUDA backend needs compute capability " + Dotted(kLeastCapability) + " or newer; " +
           device.name + " has " + Dotted(device.capability);
  }
  if (device.code_capability == 0) {
    const std::string wanted = device.capability == 90 ? "90a" : std::to_string(device.capability);
    return "built for " WEFT_CUDA_ARCHITECTURES "; " + device.name + " is sm_" +
           std::to_string(device.capability) + ": build with -DCMAKE_CUDA_ARCHITECTURES=" + wanted;
  }
  return "";
}

}  // namespace weft::worker::ops::cuda
