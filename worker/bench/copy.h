// A plain copy on the device, as fast as multiprocessors make it: what others' bandwidth
// is compared with. (The copy engine of cudaMemcpyAsync is slower.)
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weft::worker {

// `bytes`, a multiple of 16; both 16-byte aligned, apart.
cudaError_t Copy(const void* from, void* to, int64_t bytes, int num_sms, cudaStream_t stream);

}  // namespace weft::worker
