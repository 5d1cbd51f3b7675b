# nvcc out of NVIDIA's wheels, laid out by `make setup PRESET=cuda` as a toolkit in
# .deps/cuda. A CUDA install of the machine is used instead when CMAKE_CUDA_COMPILER
# or CUDACXX names its nvcc. FindCUDAToolkit is not used: CMake 3.25's does not know
# CUDA 13.

set(WEFT_CUDA_DIR ${WEFT_DEPS}/cuda)
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  if(NOT EXISTS ${WEFT_CUDA_DIR}/bin/nvcc)
    message(FATAL_ERROR "no CUDA compiler in ${WEFT_CUDA_DIR}: run `make setup PRESET=cuda`")
  endif()
  set(CMAKE_CUDA_COMPILER ${WEFT_CUDA_DIR}/bin/nvcc)
endif()
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})

# Hopper is what the kernels are tuned and tested on. 75 to 120 compile too, for cards
# that nobody had at hand: they take slower ways where Hopper's instructions are missing
# (worker/ops/cuda/device_features.h). A binary for several: "80;90a;120".
set(CMAKE_CUDA_ARCHITECTURES 90a CACHE STRING "GPUs to compile for: 75 to 120, and 90a")
foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
  # The kernels take code for 9.0 for code for 9.0a, with wgmma.
  if(NOT architecture MATCHES "^[0-9]+[af]?(-real|-virtual)?$" OR architecture MATCHES "^90(-|$)")
    message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES: numbers such as 80, and 90a for 90; "
                        "not ${architecture}")
  endif()
endforeach()
enable_language(CUDA)
# CMake 3.25 does not know how this nvcc is told C++20.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} --expt-relaxed-constexpr -lineinfo -diag-suppress 177,2810")
# CMake hands C++'s warning flags to C++ only; nvcc passes ours on to the host.

# weft::cudart: the runtime's headers and shared library, for host code.
add_library(weft_cudart INTERFACE)
add_library(weft::cudart ALIAS weft_cudart)
target_include_directories(weft_cudart SYSTEM INTERFACE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_link_libraries(weft_cudart INTERFACE ${WEFT_CUDA_DIR}/lib/libcudart.so)
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)

# weft::cublaslt
add_library(weft_cublaslt INTERFACE)
add_library(weft::cublaslt ALIAS weft_cublaslt)
target_include_directories(weft_cublaslt SYSTEM INTERFACE
  ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_link_libraries(weft_cublaslt INTERFACE ${WEFT_CUDA_DIR}/lib/libcublasLt.so.13)
