# weft::torch: LibTorch out of the `torch` wheel, imported by hand. The wheel's
# own CMake files look for a CUDA install that a CPU machine does not have.
#
# Its headers carry Protobuf 3.13's beside the ones we use (3.21), hence
# -idirafter: the system's Protobuf is found first.

set(WEFT_TORCH_DIR ${WEFT_DEPS}/torch CACHE PATH "The torch package: its include/ and lib/")
if(NOT EXISTS ${WEFT_TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch in ${WEFT_TORCH_DIR}: run `make setup`")
endif()

file(REAL_PATH ${WEFT_TORCH_DIR} WEFT_TORCH_REAL_DIR)
set(_torch_lib ${WEFT_TORCH_REAL_DIR}/lib)
add_library(weft_torch INTERFACE)
add_library(weft::torch ALIAS weft_torch)
target_compile_options(weft_torch INTERFACE
  -idirafter${WEFT_TORCH_REAL_DIR}/include
  -idirafter${WEFT_TORCH_REAL_DIR}/include/torch/csrc/api/include
  -Wno-deprecated-declarations)
target_link_libraries(weft_torch INTERFACE ${_torch_lib}/libtorch_cpu.so ${_torch_lib}/libc10.so)
# The wheel links CUDA's runtime even for the CPU; what it needs of CUDA is
# found through its own run path, at run time.
target_link_options(weft_torch INTERFACE -Wl,--allow-shlib-undefined)
# Not libtorch_cuda: tensors on the GPU are views of our own memory, and loading it
# would add seconds to a start.
