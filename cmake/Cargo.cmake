# weft_cargo_library(name CRATE dir LIB lib<x>.a HEADER x.h [ENV VAR])
#
# Builds a Rust crate's static library with cargo and imports it as weft::<name>;
# `ENV` names the variable through which the crate learns where its header goes.
# Every preset shares one cargo target folder, build/cargo, so the crate is
# compiled once. Versions come from the committed Cargo.lock; nothing is fetched
# that cargo already holds. CMAKE_BUILD_PARALLEL_LEVEL bounds its jobs, and so
# does make's jobserver.

find_program(WEFT_CARGO cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)

function(weft_cargo_library name)
  cmake_parse_arguments(ARG "" "CRATE;LIB;HEADER;ENV" "" ${ARGN})
  set(target_dir ${CMAKE_SOURCE_DIR}/build/cargo)
  set(library ${target_dir}/release/${ARG_LIB})
  set(shared_header ${target_dir}/include/${ARG_HEADER})
  # Sources include this preset's copy: ccache writes paths outside the build
  # folder in a way that ninja does not recognize.
  set(include_dir ${CMAKE_CURRENT_BINARY_DIR}/include)
  set(header ${include_dir}/${ARG_HEADER})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${ARG_CRATE}/src/*.rs)
  file(MAKE_DIRECTORY ${target_dir}/include ${include_dir})

  # cargo leaves a library that is up to date untouched; ninja wants it newer
  # than its sources.
  add_custom_command(
    OUTPUT ${library} ${header}
    COMMAND ${CMAKE_COMMAND} -E env ${ARG_ENV}=${shared_header}
      sh -c "exec \"$0\" build --release --locked --quiet \${CMAKE_BUILD_PARALLEL_LEVEL:+-j$CMAKE_BUILD_PARALLEL_LEVEL} \"$@\""
      ${WEFT_CARGO} --target-dir ${target_dir} --manifest-path ${ARG_CRATE}/Cargo.toml
    COMMAND ${CMAKE_COMMAND} -E touch ${library}
    COMMAND ${CMAKE_COMMAND} -E copy ${shared_header} ${header}
    DEPENDS ${sources} ${ARG_CRATE}/build.rs ${ARG_CRATE}/Cargo.toml ${ARG_CRATE}/Cargo.lock
    COMMENT "Building Rust library ${name} (the first time takes minutes)"
    VERBATIM)
  add_custom_target(weft_${name}_cargo DEPENDS ${library} ${header})

  add_library(weft_${name} STATIC IMPORTED GLOBAL)
  set_target_properties(weft_${name} PROPERTIES
    IMPORTED_LOCATION ${library}
    INTERFACE_INCLUDE_DIRECTORIES ${include_dir}
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
  add_dependencies(weft_${name} weft_${name}_cargo)
  add_library(weft::${name} ALIAS weft_${name})
endfunction()
