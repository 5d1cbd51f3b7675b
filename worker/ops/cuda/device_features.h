// What the GPU can do with the code that this binary has for it: who launches a kernel
// asks here whether it exists. Of the columns only sm_90a's was ever run.
//
//                        sm_75        sm_80 to 89  sm_90a      sm_100 and newer
//   16-bit models        fp16         any          any         any
//   linear, few tokens   cuBLASLt     cuBLASLt     Skinny...   Skinny..., where x fits
//   linear, some dozens  cuBLASLt     cuBLASLt     Tile...     cuBLASLt
//   steps without prompt Reference... Decode...    Decode...   Decode...
//   steps with prompt    Reference... Reference... Prefill...  Reference...
//   sampling, a row      a block      a block      a cluster   a cluster, where it fits
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace weft::worker::ops::cuda {

// Capabilities are written as compilers do: 90 is 9.0.
inline constexpr int kLeastCapability = 75;  // CUDA 13 compiles for none before

struct DeviceFeatures {
  cudaError_t error = cudaSuccess;  // else the device did not tell, and the rest is empty
  std::string name;
  int capability = 0;
  // What the code was compiled for that the device runs, at most `capability`; 0: the
  // binary has none.
  int code_capability = 0;
  int num_sms = 0;
  int shared_bytes = 0;  // that a block can have

  // Numbers of this type; before, they are emulated.
  bool has_bfloat16() const { return capability >= 80; }
  // mma.m16n8k16: DecodeAttention.
  bool has_warp_products() const { return code_capability >= 80; }
  // Copies by the copy engine, tensor copies among them: SkinnyLinear.
  bool has_tensor_copies() const { return code_capability >= 90; }
  // Clusters of blocks: Sample.
  bool has_clusters() const { return code_capability >= 90; }
  // A kernel may start before the one in front has ended: Launch.
  bool has_overlap() const { return code_capability >= 90; }
  // wgmma, which newer devices have no more: PrefillAttention, TileLinear. (CudaWheels.cmake sees
  // to it that code for 9.0 is code for 9.0a.)
  bool has_wgmma() const { return code_capability == 90; }
};

// The current device, asked once: a process has one. Any thread.
const DeviceFeatures& CurrentDevice();

// Why this binary cannot use the device; empty: it can.
std::string WhyUnusable(const DeviceFeatures& device);

}  // namespace weft::worker::ops::cuda
