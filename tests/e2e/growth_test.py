"""I3 over many requests: memory, threads and descriptors do not grow with them."""

import asyncio
import pathlib
import re
import subprocess

import httpx
import pytest
import stack

NUM_REQUESTS = 4000
# 100 bytes a request, and what an allocator takes and gives back as it likes.
LIMIT_BYTES = 100 * NUM_REQUESTS + (4 << 20)


def state(served):
    held = {}
    for tier, pid in served.pids().items():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        held[tier] = (int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024,
                      int(re.search(r"Threads:\s+(\d+)", status).group(1)))
    return held


async def ask_many(served, count):
    limits = httpx.Limits(max_connections=16)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        async def one(number):
            body = {"prompt": f"{number} {number * 7}", "max_tokens": 4, "ignore_eos": True,
                    "stream": number % 2 == 0}
            answer = await client.post(f"{served.url}/v1/completions", json=body)
            assert answer.status_code == 200

        for start in range(0, count, 64):
            await asyncio.gather(*(one(start + i) for i in range(64)))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_thousands_of_requests_leave_nothing_behind(bin_dir, tiny_model):
    # Few blocks, so that the prefix cache is full before the counting starts.
    with stack.Served(bin_dir, tiny_model, [
            "--dtype", "float32", "--kv-cache-memory-bytes", str(1 << 20)]) as served:
        asyncio.run(ask_many(served, 2000))
        served.remember_baseline()
        before = state(served)
        asyncio.run(ask_many(served, NUM_REQUESTS))
        served.expect_idle()
        after = state(served)
        for tier, (resident, threads) in after.items():
            assert resident - before[tier][0] < LIMIT_BYTES, (tier, before, after)
            assert threads <= before[tier][1] + 4, (tier, before, after)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_million_requests_leave_nothing_behind(bin_dir, tiny_model):
    limit = 8 << 20
    with stack.Served(bin_dir, tiny_model, [
            "--backend", "simulated", "--simulated-speed", "1000", "--kv-cache-memory-bytes",
            str(64 << 20)]) as served:
        def load(count, seed):
            done = subprocess.run(
                [bin_dir / "weft", "bench", "--base-url", served.url, "--num-prompts", str(count),
                 "--max-concurrency", "64", "--random-input-len", "16", "--random-output-len", "4",
                 "--vocab-size", "4000", "--seed", str(seed)],
                capture_output=True, text=True, timeout=1500, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

        load(100_000, 1)
        before = state(served)
        load(900_000, 2)
        served.expect_idle()
        after = state(served)
        for tier, (resident, _) in after.items():
            print(f"{tier}: {(resident - before[tier][0]) / 2**20:+.1f} MiB from 100,000 to "
                  f"1,000,000 requests, {resident / 2**20:.0f} MiB")
            assert resident - before[tier][0] < limit, (tier, before, after)
