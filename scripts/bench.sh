#!/usr/bin/env bash
# Runs the benchmarks that docs/benchmarks quotes. Figures are this machine's, now:
# compare only what ran in one go, and say what else was running.
#
#   scripts/bench.sh build/PRESET
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1

cmake --build "$build" --target core_bench run_ahead_bench sse_bench stream_bench weft weft-gateway \
  weft-scheduler weft-worker >/dev/null
printf '%s, %s cores, %s\n\n' "$(date -u +%F)" "$(nproc)" \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"

echo "## Plan and Apply of the scheduler's core"
"$build/bin/core_bench"
echo
echo "## Scheduler and worker alone: what the device waits for"
"$build/bin/run_ahead_bench"
echo
echo "## All tiers under load, with a worker that computes nothing"
scripts/load_bench.py "$build"
echo
echo "## Streams while a long text is tokenized"
scripts/tokenize_bench.py "$build"
echo
echo "## Writing SSE: one chunk, then whole streams over loopback"
"$build/bin/sse_bench"
"$build/bin/stream_bench"
echo
echo "## The model on the CPU: the demo model, prefill and decode"
"$build/bin/weft-worker" bench --backend cpu --model models/weft-demo-r1 --dtype bfloat16 \
  --batches 1,8 --num-in 128 --num-out 12 --single-in 128 --single-out 12 --prefills 512 --nano=false
