"""`weft bench` from the outside: what it sends, counts, reports and refuses."""

import contextlib
import socket
import threading

import pytest
import stack
from bench_commands import bench, measure


# ---- against ourselves ----

@pytest.fixture(scope="module")
def simulated(bin_dir, demo_model):
    with stack.Served(bin_dir, demo_model, ["--backend", "simulated"]) as served:
        yield served


# The demo models' vocabulary is small.
SMALL = ["--vocab-size", 4000, "--random-input-len", 100, "--random-output-len", 20]


def test_totals_are_what_was_asked_for(bin_dir, simulated, tmp_path):
    before = simulated.metric("gateway", "weft_gateway_requests_accepted_total")
    results, table = measure(bin_dir, tmp_path, simulated.url, *SMALL, "--num-prompts", 50,
                             "--max-concurrency", 8, "--num-warmups", 3, "--threads", 3,
                             "--slo", "ttft=60000ms,itl=60000ms")
    assert (results["completed"], results["failed"]) == (50, 0)
    assert results["total_input_tokens"] == 50 * 100
    assert results["total_output_tokens"] == 50 * 20
    assert results["max_concurrent_requests"] == 8
    assert results["model_id"] == simulated.served_name
    assert 0 < results["p50_ttft_ms"] <= results["p99_ttft_ms"] <= results["p99_e2el_ms"]
    assert results["request_goodput"] == pytest.approx(results["request_throughput"])
    for line in ("Successful requests: 50", "Failed requests: 0", "Total generated tokens: 1000"):
        assert line in " ".join(table.split())
    assert simulated.metric("gateway", "weft_gateway_requests_accepted_total") == before + 53
    simulated.expect_rest()


def test_chat_and_a_rate(bin_dir, simulated, tmp_path):
    results, table = measure(bin_dir, tmp_path, simulated.url, *SMALL, "--num-prompts", 20,
                             "--endpoint", "chat", "--request-rate", 40)
    assert (results["completed"], results["total_output_tokens"]) == (20, 20 * 20)
    assert results["total_input_tokens"] > 20 * 100
    # Twenty arrivals, 25 ms apart in the mean and by a fixed seed.
    assert results["duration"] > 0.2
    assert results["latencies_from"] == "arrival"
    for name in ("ttft", "e2el"):
        late = results[f"mean_{name}_ms"] - results[f"mean_{name}_from_sending_ms"]
        assert late == pytest.approx(results["mean_late_ms"])
    assert "TTFT and E2EL count from each request's arrival" in table


def test_requests_that_fail_are_told_by_kind(bin_dir, simulated, tmp_path):
    results, table = measure(bin_dir, tmp_path, simulated.url, "--num-prompts", 5, code=1)
    assert (results["completed"], results["failed"]) == (0, 5)
    [error] = results["errors"]
    assert (error["kind"], error["count"]) == ("HTTP 400", 5)
    assert "token id" in error["example"]
    assert "Failed, HTTP 400: 5, after " in table


# ---- against a server that does what we say ----

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = 'data: {"choices":[{"text":"a","finish_reason":null}]}\n\n'
USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":7}}\n\n'
DONE = "data: [DONE]\n\n"


def chunked(*events):
    return HEAD + "".join(f"{len(event):x}\r\n{event}\r\n" for event in events)


class Scripted:
    """Answers each connection's requests from `script(connection's number, request's number)`:
    bytes to send, None to close."""

    def __init__(self, script):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.num_requests = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client, number), daemon=True).start()
                number += 1

    def serve(self, client, connection):
        with client, contextlib.suppress(OSError), client.makefile("rb") as reader:
            for request in range(1000):
                length = 0
                while line := reader.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                if not length:
                    return
                reader.read(length)
                self.num_requests += 1
                answer = self.script(connection, request)
                if answer is None:
                    return
                client.sendall(answer.encode())
                if "Content-Length" not in answer and not answer.endswith("0\r\n\r\n"):
                    return


def ask(bin_dir, tmp_path, script, *words, num_prompts=1, code=1):
    # The first connection only asks whether somebody is there.
    scripted = Scripted(lambda connection, request: script(connection - 1, request))
    results, _ = measure(bin_dir, tmp_path, scripted.url, "--model", "m",
                         "--num-prompts", num_prompts, *words, code=code)
    return results, scripted


WHOLE = chunked(TEXT, TEXT, USAGE, DONE) + "0\r\n\r\n"


@pytest.mark.parametrize("answer, kind, example", [
    ("HTTP/1.1 503 Busy\r\nContent-Length: 28\r\n\r\n" '{"error":{"message":"full"}}', "HTTP 503",
     "full"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no event stream", "{}"),
    (chunked(TEXT), "cut off", "closed"),
    (chunked(TEXT, USAGE) + "0\r\n\r\n", "cut off", "[DONE]"),
    (chunked(TEXT, 'data: {"error":{"message":"no worker"}}\n\n', DONE) + "0\r\n\r\n",
     "error in the stream", "no worker"),
    (None, "no answer", "closed"),
    ("220 smtp ready\r\n", "not HTTP", ""),
])
def test_what_is_no_whole_answer_is_a_failure(bin_dir, tmp_path, answer, kind, example):
    results, _ = ask(bin_dir, tmp_path, lambda *_: answer)
    [error] = results["errors"]
    assert (results["failed"], error["kind"]) == (1, kind)
    assert example in error["example"]


def test_a_request_that_takes_too_long_has_failed(bin_dir, tmp_path):
    release = threading.Event()
    results, _ = ask(bin_dir, tmp_path, lambda *_: release.wait(20) and None, "--timeout", 0.3)
    release.set()
    assert results["errors"][0]["kind"] == "timeout"


def test_an_idle_connection_that_the_server_closed_is_no_failure(bin_dir, tmp_path):
    results, scripted = ask(bin_dir, tmp_path, lambda _, request: WHOLE if request < 2 else None,
                            "--max-concurrency", 1, num_prompts=6, code=0)
    assert results["completed"] == 6
    assert scripted.num_requests == 8, "two of them a second time"


def test_tokens_are_counted_by_usage_and_else_by_events(bin_dir, tmp_path):
    results, _ = ask(bin_dir, tmp_path, lambda *_: WHOLE, code=0)
    assert (results["total_input_tokens"], results["total_output_tokens"]) == (3, 7)
    results, _ = ask(bin_dir, tmp_path, lambda *_: chunked(TEXT, TEXT, DONE) + "0\r\n\r\n", code=0)
    assert (results["total_input_tokens"], results["total_output_tokens"]) == (0, 2)


# ---- what is refused ----

@pytest.mark.parametrize("url, words, code, explanation", [
    ("https://127.0.0.1:1", [], 1, "no server at 127.0.0.1 port 1: Connection refused"),
    ("https://127.0.0.1:1", ["--ca-file", "/no/such/file"], 2, "--ca-file /no/such/file"),
    ("127.0.0.1:8000", [], 2, "no scheme"),
    ("http://127.0.0.1:1", [], 1, "no server at 127.0.0.1 port 1: Connection refused"),
    ("http://127.0.0.1:1", ["--slo", "speed=3"], 2, "none of ttft=MS"),
    ("http://127.0.0.1:1", ["--num-prompts", "-1"], 2, "--num-prompts"),
    ("http://127.0.0.1:1", ["--request-rate", "2,fast"], 2, "fast is no rate"),
    ("http://127.0.0.1:1", ["--trace", "x", "--request-rate", "2"], 2, "beside --trace"),
    ("http://127.0.0.1:1", ["--dataset-path", "/no/such/file"], 2, "--dataset-path /no/such/file"),
    ("http://127.0.0.1:1", ["--conversation-len", "2048"], 2, "--endpoint chat"),
    ("http://127.0.0.1:1", ["--metrics-url", "box:9100"], 2, "http://127.0.0.1:9100/metrics"),
    ("http://127.0.0.1:1", ["--max-concurency", "1"], 2, "did you mean --max-concurrency?"),
    ("http://127.0.0.1:1", ["--json", "/no/such/folder/x"], 2, "/no/such/folder/x"),
])
def test_a_bad_command_is_refused_with_what_is_right(bin_dir, url, words, code, explanation):
    done = bench(bin_dir, url, *words)
    assert done.returncode == code
    assert explanation in done.stderr
    assert done.stdout == ""
