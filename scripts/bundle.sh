#!/usr/bin/env bash
# Packs a build so that it runs on another x86-64 Linux with glibc 2.36 or newer:
# binaries and every shared library but LibTorch's, CUDA's and glibc's.
#
#   scripts/bundle.sh PRESET      -> dist/weft-PRESET.tar.gz
#
# There, LibTorch is named by WEFT_TORCH_LIB, or by weft-worker's --torch-lib: the lib
# folder of the same torch version (python3 -c 'import torch; print(torch.__path__[0])').
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/weft-$preset

cmake --install "build/$preset" --prefix "$root" --strip >/dev/null
mkdir -p "$root/lib" "$root/libexec"

# What the other machine brings: glibc's parts, LibTorch, CUDA.
provided='^(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libutil)\.so'
provided+='|^lib(torch|c10|cud|cub|cupti|nv|gomp|shm|caffe2)[a-zA-Z0-9_]*[.-]'
scripts/linked_libraries.py "build/$preset"/bin/weft* |
  while read -r library; do
    [[ $(basename "$library") =~ $provided ]] || cp -L "$library" "$root/lib/"
  done
if ls "$root"/lib/* >/dev/null 2>&1; then strip --strip-unneeded "$root"/lib/*.so* 2>/dev/null || true; fi

# The worker alone needs LibTorch, which the loader wants before main begins.
if ldd "build/$preset/bin/weft-worker" | grep -q libtorch; then
  mv "$root/bin/weft-worker" "$root/libexec/weft-worker"
  # Its own libraries are found from bin/../lib and from libexec/../lib alike.
  cat > "$root/bin/weft-worker" <<'LAUNCHER'
#!/bin/sh
# Starts weft-worker with the machine's LibTorch: --torch-lib DIR or WEFT_TORCH_LIB.
here=$(dirname "$(readlink -f "$0")")
dir=$WEFT_TORCH_LIB
is_next=
for argument; do  # takes --torch-lib out, keeps the rest in order
  shift
  if [ -n "$is_next" ]; then
    dir=$argument
    is_next=
    continue
  fi
  case $argument in
    --torch-lib) is_next=yes ;;
    --torch-lib=*) dir=${argument#--torch-lib=} ;;
    *) set -- "$@" "$argument" ;;
  esac
done
if [ -z "$dir" ] || [ ! -e "$dir/libtorch_cpu.so" ]; then
  echo "weft-worker: no LibTorch in '${dir}': name the lib folder of torch 2.11 with --torch-lib DIR or WEFT_TORCH_LIB" >&2
  exit 2
fi
# The torch wheel keeps CUDA's libraries in nvidia/cu13/lib beside it.
LD_LIBRARY_PATH=$dir:$dir/../../nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/../libexec/weft-worker" "$@"
LAUNCHER
  chmod +x "$root/bin/weft-worker"
fi

cp LICENSE "$root/"
# Notices of what is packed along, where Debian keeps them.
mkdir -p "$root/notices"
cp "build/$preset/gateway/playground/licenses.txt" "$root/notices/playground"
for library in "$root"/lib/*; do
  package=$(dpkg -S "*/$(basename "$library")" 2>/dev/null | head -1 | cut -d: -f1) || true
  if [ -n "$package" ] && [ -e "/usr/share/doc/$package/copyright" ]; then
    cp "/usr/share/doc/$package/copyright" "$root/notices/$package"
  fi
done

mkdir -p dist
tar -C "$stage" -czf "dist/weft-$preset.tar.gz" "weft-$preset"
echo "dist/weft-$preset.tar.gz: $(du -h "dist/weft-$preset.tar.gz" | cut -f1)"
