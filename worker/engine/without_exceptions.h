// LibTorch and allocators report by exception; none leaves the module that calls them.
#pragma once

#include <exception>
#include <new>

#include "absl/status/status.h"

namespace weft::worker {

// What `call` returns, a Status or a StatusOr; or what it threw, as that.
template <class Call>
auto WithoutExceptions(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace weft::worker
