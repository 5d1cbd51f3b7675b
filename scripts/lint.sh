#!/usr/bin/env bash
# Format, shell scripts, and every header compiled alone (a header that leans on
# its includer's includes fails here). Those that include Torch, CUDA or what does
# so are left to their own .cc files: slow, or not there without a toolkit.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
status=0

git ls-files '*.h' '*.cc' '*.cu' '*.cuh' | xargs .deps/venv/bin/clang-format --dry-run --Werror ||
  status=1

for script in $(git ls-files '*.sh' .ci/run); do
  bash -n "$script" || status=1
done

headers=$(git ls-files '*.h' | xargs grep -LE '#include (<(torch/|ATen/|c10/|cuda|cublas)|"worker/(ops|engine)/cuda/)')
check_header() {
  echo "#include \"$2\"" | c++ -std=c++20 -x c++ -fsyntax-only -Wall -Wextra \
    -Wno-missing-field-initializers -Wno-psabi -D'WEFT_VERSION="lint"' -D'WEFT_SOURCE_DIR="lint"' \
    -I. -I"$1"/proto -I"$1"/text/include -idirafter .deps/torch/include -
}
export -f check_header
# shellcheck disable=SC2086
printf '%s\n' $headers | xargs -P "$(nproc)" -I{} bash -c "check_header $build {} || { echo 'lint: {} does not stand alone'; exit 255; }" || status=1

[ $status = 0 ] && echo "lint: clean"
exit $status
