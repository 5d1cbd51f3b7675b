#!/usr/bin/env bash
# Builds container images out of what is built already, without a Docker engine, into
# buildah's own storage.
#
#   scripts/images.sh PRESET [IMAGE...]      -> IMAGE:VERSION, by default all of PRESET
#
# cpu gives weft-gateway, weft-scheduler, weft-tools and weft-worker-cpu; cuda has
# weft-worker-cuda in place of the last. They run where glibc is not asked for: it is inside.
# Where file systems cannot be laid over each other, as in a container, STORAGE_DRIVER=vfs.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
staged=dist/images/$preset
version=$(sed -n 's/^project(weft VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)

if ! command -v buildah >/dev/null; then
  echo "images: no buildah: run scripts/setup.sh images" >&2
  exit 1
fi
rm -rf "$staged"
deploy/images/stage.py --build "build/$preset" --to "$staged" "$@"
for folder in "$staged"/*; do
  image=$(basename "$folder")
  # Nothing is pulled: every stage that is left begins from scratch.
  buildah build --layers --pull-never --build-context "staged=$staged" --build-arg "VERSION=$version" \
    --target "$image" --tag "$image:$version" --file deploy/images/Dockerfile --quiet deploy/images >/dev/null
  printf '%-18s %s  ' "$image" "$version"
  du -shc "$folder"/* | awk -v folder="$folder/" '
    $2 == "total" {total = $1; next} {sub(folder, "", $2); parts = parts "  " $2 " " $1}
    END {print total "B:" parts}'
done
