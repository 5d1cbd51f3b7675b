"""What ten thousand open streams cost that have nothing to say for the moment."""

import asyncio
import pathlib
import re
import resource

import httpx
import pytest
import stack

NUM_STREAMS = 10_000
LIMIT_BYTES = 16 << 10  # of each, in the gateway
# Every stream gets its first token; the next takes a minute.
FLAGS = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.001",
         "--max-num-seqs", str(NUM_STREAMS), "--max-num-batched-tokens", "32768",
         "--max-waiting", "20000", "--max-mixed-step-ms", "0"]


def resident_now(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


async def open_streams(port, count, began):
    body = httpx.Request("POST", "http://a", json={
        "prompt": [5], "max_tokens": 1000, "ignore_eos": True, "stream": True}).content
    request = (b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
               b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
    gate = asyncio.Semaphore(200)

    async def one():
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            writer.write(request)
        await reader.readuntil(b"data: ")
        return reader, writer

    streams = await asyncio.gather(*(one() for _ in range(count)))
    began()
    for _, writer in streams:
        writer.transport.abort()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_idle_streams_are_cheap(bin_dir, tiny_model):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < NUM_STREAMS + 1000:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with stack.Served(bin_dir, tiny_model, FLAGS) as served:
            gateway = served.pids()["gateway"]
            asyncio.run(open_streams(served.port, 100, lambda: None))
            served.expect_rest(10)
            before = resident_now(gateway)
            after = []
            asyncio.run(open_streams(served.port, NUM_STREAMS,
                                     lambda: after.append(resident_now(gateway))))
            each = (after[0] - before) / NUM_STREAMS
            print(f"{each / 1024:.1f} KiB for each of {NUM_STREAMS} streams in the gateway")
            assert each < LIMIT_BYTES
            served.expect_rest(60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
