#include "worker/ops/ops.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <vector>

#include "common/check.h"

namespace weft::worker::ops {

at::Tensor View(void* data, at::IntArrayRef shape, at::ScalarType dtype, at::Device device) {
  return at::for_blob(data, shape)
      .options(at::TensorOptions().dtype(dtype).device(device))
      .target_device(device)
      .make_tensor();
}

at::Tensor Rows(const at::Tensor& x, int64_t first, int64_t count) {
  WEFT_CHECK(first >= 0 && count >= 0 && first + count <= x.size(0) && x.is_contiguous());
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  sizes[0] = count;
  const int64_t row_bytes =
      x.numel() / std::max<int64_t>(1, x.size(0)) * static_cast<int64_t>(x.element_size());
  return View(static_cast<char*>(x.mutable_data_ptr()) + first * row_bytes, sizes, x.scalar_type(),
              x.device());
}

at::Tensor FirstRows(const at::Tensor& x, int64_t count) { return Rows(x, 0, count); }

}  // namespace weft::worker::ops
