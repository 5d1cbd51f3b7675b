"""I3 over many requests: memory, threads and descriptors do not grow with them."""

import asyncio
import pathlib
import re

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
