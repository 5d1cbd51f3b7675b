# weft_npm_packages(name FOLDER dir)
#
# Installs what FOLDER/package.json names, in the versions and with the hashes of
# its package-lock.json, into build/npm/<name>/node_modules, which every preset
# shares, and sets <name>_MODULES to it. A command that reads files of it DEPENDS
# on ${<name>_INSTALLED}. No package's own scripts run; npm's cache stays in
# build/npm/cache.

find_program(WEFT_NPM npm HINTS ${WEFT_DEPS}/venv/bin REQUIRED)

function(weft_npm_packages name)
  cmake_parse_arguments(ARG "" "FOLDER" "" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/build/npm/${name})
  # npm's own record of what is there.
  set(installed ${dir}/node_modules/.package-lock.json)
  set(lists ${ARG_FOLDER}/package.json ${ARG_FOLDER}/package-lock.json ${ARG_FOLDER}/.npmrc)
  add_custom_command(
    OUTPUT ${installed}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${dir}
    COMMAND ${CMAKE_COMMAND} -E copy ${lists} ${dir}
    COMMAND ${WEFT_NPM} --prefix ${dir} --cache ${CMAKE_SOURCE_DIR}/build/npm/cache
      ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${installed}
    DEPENDS ${lists}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/build
    COMMENT "Installing npm packages of ${name}"
    VERBATIM)
  set(${name}_MODULES ${dir}/node_modules PARENT_SCOPE)
  set(${name}_INSTALLED ${installed} PARENT_SCOPE)
endfunction()
