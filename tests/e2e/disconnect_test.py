"""A client that leaves gives its blocks back within a second, wherever its request is."""

import json
import socket
import time

import httpx
import pytest
import stack


def open_request(served, body, path="/v1/completions"):
    """A raw connection with the request sent and nothing read."""
    payload = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                       f"Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
    return connection


@pytest.fixture(scope="module")
def slow(bin_dir, tiny_model):
    """Long contexts and outputs, so that nothing ends by itself."""
    with stack.Served(bin_dir, tiny_model, ["--dtype", "float32"]) as served:
        served.remember_baseline()
        yield served


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_client_that_leaves_frees_its_blocks_within_a_second(slow, is_stream):
    before = slow.metric("scheduler", "weft_scheduler_requests_total", finish_reason="cancelled")
    connections = [open_request(slow, {
        "model": slow.served_name, "prompt": f"{number} " * 50, "max_tokens": 3000,
        "ignore_eos": True, "stream": is_stream}) for number in range(6)]
    assert stack.eventually(lambda: slow.blocks("used") > 0, 10)
    if is_stream:
        assert connections[0].recv(64).startswith(b"HTTP/1.1 200")
    left_at = time.monotonic()
    for connection in connections:
        connection.close()
    slow.expect_idle()
    assert time.monotonic() - left_at < 4
    after = slow.metric("scheduler", "weft_scheduler_requests_total", finish_reason="cancelled")
    assert after - (before or 0) == 6
    assert slow.metric("gateway", "weft_gateway_client_disconnects_total") >= 6


def test_a_client_that_closes_in_order_has_left(slow):
    with httpx.Client(base_url=slow.url) as client:
        body = {"model": slow.served_name, "prompt": "a", "max_tokens": 3000, "ignore_eos": True,
                "stream": True}
        with client.stream("POST", "/v1/completions", json=body) as answer:
            next(answer.iter_lines())
    slow.expect_idle()


def test_a_client_that_leaves_disturbs_nobody(slow):
    body = {"model": slow.served_name, "prompt": "the same", "max_tokens": 200,
            "ignore_eos": True, "temperature": 0}
    alone = httpx.post(f"{slow.url}/v1/completions", json=body, timeout=60).json()
    leavers = [open_request(slow, {**body, "prompt": f"{i} leaves", "max_tokens": 2000})
               for i in range(4)]
    stayer = open_request(slow, body)
    for connection in leavers:
        time.sleep(0.02)
        connection.close()
    answer = b""
    while part := stayer.recv(65536):
        answer += part
        if answer.endswith(b"}"):
            break
    stayer.close()
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["choices"][0]["text"] \
        == alone["choices"][0]["text"]
    slow.expect_idle()


def test_cancelled_in_the_queue_is_cancelled(bin_dir, tiny_model):
    with stack.Served(bin_dir, tiny_model, ["--dtype", "float32", "--max-num-seqs", "1"]) as served:
        body = {"model": served.served_name, "prompt": "a", "max_tokens": 3000, "ignore_eos": True}
        running = open_request(served, body)
        assert stack.eventually(
            lambda: served.metric("scheduler", "weft_scheduler_requests_running"), 10)
        queued = open_request(served, body)
        assert stack.eventually(
            lambda: served.metric("scheduler", "weft_scheduler_requests_waiting"), 10)
        queued.close()
        assert stack.eventually(
            lambda: served.metric("scheduler", "weft_scheduler_requests_waiting") == 0, 1)
        running.close()
        served.expect_idle()
