#!/usr/bin/env bash
# build.sh OUT: makes the messages and the stub with protoc and the plugins that go.mod
# pins, and builds OUT/client. Nothing is written beside the sources.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
cp "$here"/{go.mod,go.sum,main.go} .

GOBIN=$PWD/plugins go install tool
module=weft.example/client
options=module=$module,Mweft/v1/inference.proto=$module/weftpb
PATH=$PWD/plugins:$PATH protoc -I "$here/../../../proto" --go_out=. --go_opt="$options" \
  --go-grpc_out=. --go-grpc_opt="$options" weft/v1/inference.proto
go build -o client .
