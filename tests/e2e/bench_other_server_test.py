"""`weft bench` against a server of another make: a few lines of http.server."""

import contextlib
import http.server
import json
import threading
import time

import pytest
from bench_commands import measure


class OtherServer:
    """Chat and completions, chunked, without usage; a role comes first and alone. Each
    connection serves one request."""

    def __init__(self):
        self.bodies = []
        self.refusals = 0   # so many more requests get a 429
        self.role_gap_s = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(data)

            def event(self, payload):
                data = f"data: {payload}\n\n".encode()
                # Cut anywhere: a chunk is no event.
                for part in (data[:9], data[9:]):
                    self.wfile.write(f"{len(part):X}\r\n".encode() + part + b"\r\n")
                    self.wfile.flush()

            def do_GET(self):
                self.answer(200, {"object": "list", "data": [{"id": "other-model"}]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.bodies.append(body)
                    refused = outer.refusals > 0
                    outer.refusals -= refused
                if refused:
                    return self.answer(429, {"error": {"message": "slow down"}})
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream; charset=utf-8")
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"A\r\n: waiting\n\r\n")
                if "messages" in body:
                    self.event(json.dumps({"choices": [
                        {"index": 0, "delta": {"role": "assistant", "content": ""}}]}))
                    self.wfile.flush()
                    time.sleep(outer.role_gap_s)
                for _ in range(body.get("max_tokens") or body.get("max_completion_tokens")):
                    choice = {"delta": {"content": "x"}} if "messages" in body else {"text": "x"}
                    self.event(json.dumps({"choices": [{"index": 0, **choice}]}))
                self.event("[DONE]")
                self.wfile.write(b"0\r\n\r\n")

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def other():
    with contextlib.closing(OtherServer()) as server:
        yield server


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_answers_without_usage_are_counted_by_events(bin_dir, other, tmp_path, endpoint):
    results, table = measure(bin_dir, tmp_path, other.url, "--endpoint", endpoint,
                             "--num-prompts", 10, "--max-concurrency", 3, "--random-input-len", 8,
                             "--random-output-len", 5)
    assert results["model_id"] == "other-model"
    assert (results["completed"], results["total_output_tokens"]) == (10, 50)
    assert results["token_account"]["answers_without_usage"] == 10
    assert results["token_account"]["answers_shorter_than_asked"] == 0
    assert "10 answers came without usage" in table
    assert len(other.bodies) == 10


def test_the_first_token_is_the_first_with_content(bin_dir, other, tmp_path):
    other.role_gap_s = 0.3
    results, _ = measure(bin_dir, tmp_path, other.url, "--endpoint", "chat", "--num-prompts", 2,
                         "--random-output-len", 3)
    assert results["p50_ttft_ms"] >= 300, "a role is no content"


def test_a_429_is_one_failure_and_the_next_goes_on(bin_dir, other, tmp_path):
    other.refusals = 2
    results, table = measure(bin_dir, tmp_path, other.url, "--num-prompts", 6, "--max-concurrency",
                             1, "--random-output-len", 3, code=1)
    assert (results["completed"], results["failed"]) == (4, 2)
    [error] = results["errors"]
    assert (error["kind"], error["count"], error["example"]) == ("HTTP 429", 2, "slow down")
    assert "Failed, HTTP 429: 2" in table


def test_a_conversation_sends_back_what_was_answered(bin_dir, other, tmp_path):
    results, _ = measure(bin_dir, tmp_path, other.url, "--endpoint", "chat", "--num-prompts", 1,
                         "--random-input-len", 10, "--random-output-len", 5,
                         "--conversation-len", 60, "--prefix-len", 12)
    # 12 + 10 + 5, then 15 more a turn: 27, 42, 57.
    assert results["completed"] == 3
    roles = [[message["role"] for message in body["messages"]] for body in other.bodies]
    assert roles == [["system", "user"], ["system", "user", "assistant", "user"],
                     ["system", "user", "assistant", "user", "assistant", "user"]]
    last = other.bodies[-1]["messages"]
    assert [message["content"] for message in last[2::2]] == ["xxxxx", "xxxxx"]
    assert last[:4] == other.bodies[1]["messages"]


def test_a_server_that_stalls_is_not_spared_what_came_meanwhile(bin_dir, other, tmp_path):
    """One slot, and answers slower than arrivals: whoever waits for the slot waits."""
    other.role_gap_s = 0.2
    results, table = measure(bin_dir, tmp_path, other.url, "--endpoint", "chat", "--num-prompts",
                             6, "--max-concurrency", 1, "--request-rate", 1000,
                             "--random-output-len", 2)
    # The sixth goes out after five answers, of 200 ms each; all arrived within some ms.
    assert results["max_late_ms"] >= 900
    assert results["mean_ttft_ms"] - results["mean_ttft_from_sending_ms"] >= 400
    assert "TTFT, from sending" in table
