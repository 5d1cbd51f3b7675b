"""More than can be served: who is turned away, how, and that nobody else notices."""

import socket
import threading
import time

import grpc
import httpx
import pytest
import reflection
import stack

# One sequence runs, and takes as long as the test does; two wait.
FULL_AFTER = 3
SLOW = ["--backend", "simulated", "--simulated-speed", "0.001", "--max-num-seqs", "1",
        "--max-waiting", str(FULL_AFTER - 1)]


def body(prompt="a", **fields):
    return {"prompt": prompt, "max_tokens": 3000, "ignore_eos": True, "stream": True, **fields}


class OpenRequests:
    """Requests that are sent and not waited for."""

    def __init__(self, served):
        self.served = served
        self.threads = []
        self.client = httpx.Client(timeout=60)

    def send(self, **headers):
        def run():
            try:
                self.client.post(f"{self.served.url}/v1/completions", json=body(),
                                 headers=headers)
            except httpx.HTTPError:
                pass  # it is cut when the server ends
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def fill(self):
        """The first runs before the others come: else they might find the queue full of it."""
        for count in range(1, FULL_AFTER + 1):
            self.send()
            self.wait_until_there(count)

    def wait_until_there(self, count):
        def number():
            metrics = self.served.metrics("scheduler")
            return (metrics.sum("weft_scheduler_requests_running")
                    + metrics.sum("weft_scheduler_requests_waiting"))
        assert stack.eventually(lambda: number() == count, 10), number()


def test_beyond_the_queue_is_503_before_anything_is_encoded(bin_dir, tiny_model):
    with stack.Served(bin_dir, tiny_model, [*SLOW, "--drain-timeout", "0"]) as served:
        requests = OpenRequests(served)
        requests.fill()
        accepted = served.metric("gateway", "weft_gateway_requests_accepted_total")
        with httpx.Client(timeout=60) as client:
            # Long enough to take seconds of a tokenizer, were it asked.
            long = client.build_request("POST", f"{served.url}/v1/completions",
                                        json=body("a" * 1_900_000))
            times = []
            for request in [long] * 3:
                began = time.monotonic()
                answer = client.send(request)
                times.append(time.monotonic() - began)
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["type"] == "server_error"
                assert answer.json()["error"]["message"] == "The queue is full with 2 requests."
                assert int(answer.headers["Retry-After"]) >= 1
            assert min(times) < 0.5, times
            assert client.get(f"{served.url}/health").status_code == 200
        # The scheduler has never heard of them.
        assert served.metric("gateway", "weft_gateway_requests_accepted_total") == accepted
        assert served.metric("scheduler", "weft_scheduler_rejected_total") == 0


def test_a_tenant_beyond_its_quota_is_429_and_others_are_served(bin_dir, tiny_model):
    flags = ["--backend", "simulated", "--simulated-speed", "0.02", "--max-tenant-requests", "2",
             "--tenant-header", "X-Tenant", "--drain-timeout", "0"]
    with stack.Served(bin_dir, tiny_model, flags) as served:
        requests = OpenRequests(served)
        for _ in range(2):
            requests.send(**{"x-tenant": "a"})
        requests.wait_until_there(2)

        def ask(headers):
            return httpx.post(f"{served.url}/v1/completions", timeout=30, headers=headers,
                              json=body(max_tokens=2, stream=False))
        refused = ask({"X-Tenant": "a"})
        assert refused.status_code == 429, refused.text
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.json()["error"]["message"] == (
            "this tenant has 2 requests open, as many as it may")
        assert int(refused.headers["Retry-After"]) >= 1
        assert ask({"X-Tenant": "b"}).status_code == 200
        assert ask({}).status_code == 200
        bad = ask({"X-Tenant": "b" * 200})
        assert served.metric("scheduler", "weft_scheduler_rejected_total", reason="quota") == 1
        assert bad.status_code == 400 and "128 visible ASCII characters" in bad.text

        # The same over gRPC.
        with grpc.insecure_channel(served.grpc_address) as channel:
            complete = reflection.Service(channel).method("Complete")
            call = {"text": "a", "options": {"max_tokens": 2}}
            with pytest.raises(grpc.RpcError) as error:
                complete(metadata=[("x-tenant", "a")], **call)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            retry = reflection.details(error.value)["RetryInfo"].retry_delay
            assert retry.ToTimedelta().total_seconds() >= 1
            assert complete(metadata=[("x-tenant", "b")], **call).choices


def test_a_reader_that_stops_is_cut_off_and_holds_back_nobody(bin_dir, tiny_model):
    flags = ["--backend", "simulated", "--simulated-speed", "50", "--max-model-len", "131072"]
    with stack.Tiers(bin_dir, tiny_model, {
            "worker": flags, "gateway": ["--stall-timeout=1.5"]}) as tiers:
        tiers.remember_baseline()
        stopped = []
        for _ in range(8):
            connection = socket.create_connection(("127.0.0.1", tiers.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            text = httpx.Request("POST", tiers.url, json=body(max_tokens=100_000)).content
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n"
                               b"Content-Type: application/json\r\nContent-Length: "
                               + str(len(text)).encode() + b"\r\n\r\n" + text)
            stopped.append(connection)
        assert stack.eventually(
            lambda: tiers.metric("scheduler", "weft_scheduler_requests_running") == 8, 5)
        # A neighbour that reads gets its tokens meanwhile, at their pace.
        gaps, last = [], time.monotonic()
        with httpx.stream("POST", f"{tiers.url}/v1/completions", timeout=30,
                          json=body(max_tokens=2000)) as answer:
            for _ in answer.iter_text():
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
        assert max(gaps) < 0.5, max(gaps)
        assert stack.eventually(
            lambda: tiers.metric("scheduler", "weft_scheduler_requests_running") == 0, 10)
        assert tiers.metric("gateway", "weft_gateway_client_disconnects_total") == 8
        assert tiers.metric("gateway", "weft_gateway_http_slow_clients_cut_total") == 8
        assert tiers.metric("gateway", "weft_gateway_http_write_wait_seconds_total") > 8 * 1.5
        for connection in stopped:
            connection.close()
        tiers.expect_idle()
