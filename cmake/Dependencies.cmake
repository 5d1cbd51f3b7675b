# Every library the project links, found once, here. LibTorch comes first:
# its headers bring an old Protobuf along, so they go behind everything else
# (see LibTorch.cmake).

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(CLI11 CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(rapidcheck CONFIG REQUIRED)

# Where `make setup` puts what no Debian package holds.
set(WEFT_DEPS ${CMAKE_SOURCE_DIR}/.deps CACHE PATH "Folder that make setup fills")

if(WEFT_TORCH)
  include(LibTorch)
endif()
if(WEFT_CUDA)
  include(CudaWheels)
endif()
