# One function per kind of target. A folder's CMakeLists.txt reads as a list:
#
#   weft_library(name SRCS a.cc b.cc DEPS weft::common)   -> weft::name
#   weft_binary(weft-gateway SRCS main.cc DEPS ...)       -> build/<preset>/bin
#   weft_test(a_test SRCS a_test.cc DEPS ...)             -> build/<preset>/test
#   weft_fuzz(a_fuzz SRCS a_fuzz.cc DEPS ...)             -> build/fuzz/bin, a_fuzz_test
#
# Includes are relative to the repository's root ("common/log.h").

function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(weft_${name} STATIC ${ARG_SRCS})
    target_include_directories(weft_${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(weft_${name} PUBLIC ${ARG_DEPS})
  else()
    add_library(weft_${name} INTERFACE)
    target_include_directories(weft_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(weft_${name} INTERFACE ${ARG_DEPS})
  endif()
  add_library(weft::${name} ALIAS weft_${name})
endfunction()

# The target `binaries` is all of these: what is installed, without tests.
add_custom_target(binaries)
function(weft_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
  add_dependencies(binaries ${name})
endfunction()

# `make test` runs every binary of that folder. A test finds the repository's
# files through WEFT_SOURCE_DIR.
function(weft_test name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
endfunction()

# A libFuzzer entry point (LLVMFuzzerTestOneInput). In the preset `fuzz` it is a fuzzer,
# built with the target `fuzzers`; in every other a test that runs its seeds, which are
# the files of tests/fuzz/corpus/<name>, and mutations of them.
add_custom_target(fuzzers)
function(weft_fuzz name)
  if(WEFT_FUZZ)
    cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
    add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SRCS})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(${name} PRIVATE WEFT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ${ARG_DEPS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name})
  else()
    weft_test(${name}_test ${ARGN})
    target_sources(${name}_test PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.cc)
    target_compile_definitions(${name}_test PRIVATE
      WEFT_FUZZ_CORPUS="${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  endif()
endfunction()
