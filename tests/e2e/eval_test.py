"""`weft eval`: a demo model's accuracy, breaks, servers that misbehave, and the page of transcripts."""

import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time

import certificates
import pytest
import stack
from playground_test import browser  # a fixture
from playwright.sync_api import expect
from stack import die_with_us, eventually

DIRECTIVE = "Please reason step by step, and put your final answer within \\boxed{}."
LIMIT_S = 300


def start(bin_dir, url, folder, *words, environment=()):
    return subprocess.Popen(
        [bin_dir / "weft", "eval", "--url", url, "--output", folder, *map(str, words)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_us,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **dict(environment)})


def evaluate(*arguments, **options):
    process = start(*arguments, **options)
    process.stdout_text, process.stderr_text = process.communicate(timeout=LIMIT_S)
    return process


def transcripts(folder):
    path = folder / "transcripts.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


# ---- real processes ----

def test_the_demo_model_solves_the_problems_that_ship(bin_dir, served, tmp_path):
    done = evaluate(bin_dir, served.url + "/v1/", tmp_path, "--limit", 20, "--seeds", 2,
                    "--max-tokens", 600)
    assert done.returncode == 0, done.stderr_text
    assert "maj@2" in done.stdout_text and done.stderr_text == "", "quiet in a pipe"
    rows = transcripts(tmp_path)
    assert len({(row["id"], row["seed"]) for row in rows}) == len(rows) == 40
    figures = summary(tmp_path)
    right = sum(row["outcome"] == "right" for row in rows)
    assert figures["num_right"] == right >= 30, "it was trained on such problems"
    assert figures["accuracy"] == pytest.approx(right / 40)
    assert figures["tokens_per_correct"] == pytest.approx(
        sum(row["completion_tokens"] for row in rows) / right)
    for row in rows:
        assert row["reasoning"] and (row["outcome"] != "right" or "\\boxed" in row["content"])
        assert row["completion_tokens"] > 10 and row["seconds"] > 0


def test_thinking_that_is_cut_off_is_counted_apart(bin_dir, served, tmp_path):
    done = evaluate(bin_dir, served.url, tmp_path, "--limit", 5, "--seeds", 1, "--max-tokens", 10)
    assert done.returncode == 0, done.stderr_text
    assert summary(tmp_path)["num_truncated"] == 5 and summary(tmp_path)["accuracy"] == 0
    assert {row["completion_tokens"] for row in transcripts(tmp_path)} == {10}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_goes_on_after_a_break(bin_dir, served, tmp_path, number):
    words = ["--limit", 40, "--seeds", 2, "--max-tokens", 600, "--concurrency", 2]
    process = start(bin_dir, served.url, tmp_path, *words)
    assert eventually(lambda: len(transcripts(tmp_path)) >= 3, LIMIT_S)
    process.send_signal(number)
    _, errors = process.communicate(timeout=LIMIT_S)
    if number == signal.SIGINT:
        assert process.returncode == 130 and "goes on from here" in errors
    before = transcripts(tmp_path)
    assert 3 <= len(before) < 80 and not (tmp_path / "summary.json").exists()

    done = evaluate(bin_dir, served.url, tmp_path, *words)
    assert done.returncode == 0, done.stderr_text
    assert f"{len(before)} answers are there" in done.stderr_text
    rows = transcripts(tmp_path)
    assert rows[:len(before)] == before, "what was there stays"
    assert len({(row["id"], row["seed"]) for row in rows}) == len(rows) == 80
    assert summary(tmp_path)["num_answers"] == 80


def test_other_settings_are_refused(bin_dir, served, tmp_path):
    first = ["--limit", 1, "--seeds", 1, "--max-tokens", 20]
    assert evaluate(bin_dir, served.url, tmp_path, *first).returncode == 0
    before = (tmp_path / "transcripts.jsonl").read_bytes()
    done = evaluate(bin_dir, served.url, tmp_path, *first[:-1], 30)
    assert done.returncode == 1 and "its max_tokens is 20 and not 30" in done.stderr_text
    assert (tmp_path / "transcripts.jsonl").read_bytes() == before


def test_problems_of_a_file(bin_dir, served, tmp_path):
    problems = tmp_path / "mine.jsonl"
    problems.write_text('{"question": "What is 17 + 25?", "answer": "so\\n#### 42"}\n'
                        '{"question": "What is 17 + 26?", "answer": 1}\n')
    done = evaluate(bin_dir, served.url, tmp_path / "out", "--dataset", problems,
                    "--temperature", 0, "--seeds", 1, "--max-tokens", 600)
    assert done.returncode == 0, done.stderr_text
    assert {row["id"]: row["outcome"] for row in transcripts(tmp_path / "out")} == {
        "0": "right", "1": "wrong"}


# ---- what cannot be ----

@pytest.mark.parametrize("content, explanation", [
    ("no json\n", "line 1: no JSON object"), ("", "no problems"),
    ('{"problem": "x", "answer": "1"}\n{"problem": "y"}\n', "line 2: no answer")])
def test_a_wrong_file_is_said(bin_dir, tmp_path, content, explanation):
    problems = tmp_path / "mine.jsonl"
    problems.write_text(content)
    done = evaluate(bin_dir, "http://127.0.0.1:1", tmp_path / "out", "--dataset", problems)
    assert done.returncode == 1 and f"{problems}" in done.stderr_text
    assert explanation in done.stderr_text and not (tmp_path / "out").exists()


def test_nobody_listening_is_said(bin_dir, tmp_path):
    [port] = stack.free_ports(1)
    done = evaluate(bin_dir, f"http://127.0.0.1:{port}", tmp_path / "out")
    assert done.returncode == 1 and f"http://127.0.0.1:{port}: " in done.stderr_text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words, code, explanation", [
    (["--dataset", "gsm8"], 1, "did you mean gsm8k?"),
    (["--prompt", "r2"], 2, "--prompt"), (["--url", "localhost"], 2, "it looks like http://"),
    (["--seeds", "-1"], 2, "--seeds"), (["--top-p", "-0.5"], 2, "--top-p is above 0"),
    (["--datset", "x"], 2, "did you mean --dataset?")])
def test_what_cannot_be_asked_is_said(bin_dir, tmp_path, words, code, explanation):
    done = subprocess.run([bin_dir / "weft", "eval", "--output", tmp_path / "out", *words],
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == code and explanation in done.stderr


# ---- a public data set, as fetched before ----

def shared_data():
    for folder in pathlib.Path(__file__).resolve().parents:
        if (folder / "shared" / "data").is_dir():
            return folder / "shared" / "data"
    pytest.skip("no shared/data beside or above the source")


@pytest.mark.parametrize("name, file, count", [("gsm8k", "gsm8k_test.jsonl", 1319),
                                               ("math500", "math500_test.jsonl", 500),
                                               ("aime24", "aime24_test.jsonl", 30)])
def test_a_public_data_set_that_is_there_is_taken(bin_dir, scripted, tmp_path, name, file, count):
    scripted.content = "\\boxed{1}"
    kept = tmp_path / "weft" / "datasets" / f"{name}.jsonl"
    kept.parent.mkdir(parents=True)
    shutil.copy(shared_data() / file, kept)
    # Nothing may be asked of the network; a proxy that nobody is would be.
    environment = {"XDG_CACHE_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:1"}
    done = evaluate(bin_dir, scripted.url, tmp_path / "out", "--dataset", name,
                    environment=environment)
    assert done.returncode == 0, done.stderr_text
    assert summary(tmp_path / "out")["num_problems"] == count



class File(http.server.BaseHTTPRequestHandler):
    """Gives the first of `bodies`, the last one for ever."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append((self.headers["Host"], self.path, self.headers["Authorization"]))
        bodies = self.server.bodies
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Tunnel(socketserver.StreamRequestHandler):
    """A proxy: every CONNECT leads to the one server."""

    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.target)) as other:
            back = threading.Thread(target=self.copy, args=(other, self.connection), daemon=True)
            back.start()
            self.copy(self.connection, other)
            back.join()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # one of the two has gone
            pass


@pytest.fixture
def github(tmp_path):
    """What raw.githubusercontent.com would be, behind a proxy."""
    authority = certificates.Authority(tmp_path / "authority")
    authority.issue(tmp_path / "server", ["DNS:raw.githubusercontent.com"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server" / "tls.crt", tmp_path / "server" / "tls.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), File)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.asked, server.bodies, server.ca_file = [], [], authority.cert
    proxy = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    proxy.daemon_threads, proxy.target = True, server.server_port
    server.environment = {"https_proxy": f"http://127.0.0.1:{proxy.server_address[1]}",
                          "XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_TOKEN": "hub-only"}
    for each in (server, proxy):
        threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    for each in (proxy, server):
        each.shutdown()
        each.server_close()


def test_a_public_data_set_is_fetched_once(bin_dir, scripted, github, tmp_path):
    whole = (shared_data() / "gsm8k_test.jsonl").read_bytes()
    github.bodies = [whole[:-2] + b"x\n", whole]
    for number in range(2):
        done = evaluate(bin_dir, scripted.url, tmp_path / f"out{number}", "--dataset", "gsm8k",
                        "--limit", 3, "--ca-file", github.ca_file, environment=github.environment)
        assert done.returncode == 0, done.stderr_text
        assert ("Licence: MIT" in done.stderr_text) == (number == 0)
    assert len(github.asked) == 2, "the first was not the file"
    host, path, authorization = github.asked[0]
    assert host == "raw.githubusercontent.com" and path.startswith("/openai/grade-school-math/")
    assert authorization is None, "a token of the hub is nobody else's"
    assert (tmp_path / "cache/weft/datasets/gsm8k.jsonl").read_bytes() == whole


def test_what_is_not_the_data_set_is_refused(bin_dir, scripted, github, tmp_path):
    github.bodies = [b"x" * 749738]
    done = evaluate(bin_dir, scripted.url, tmp_path / "out", "--dataset", "gsm8k",
                    "--ca-file", github.ca_file, environment=github.environment)
    assert done.returncode == 1 and "SHA-256" in done.stderr_text
    assert "--dataset FILE.jsonl" in done.stderr_text and scripted.requests == []
    assert not (tmp_path / "cache/weft/datasets/gsm8k.jsonl").exists()


# ---- a server by script ----

class Scripted(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer(200, json.dumps({"data": [{"id": name} for name in self.server.models]}))

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(request)
            self.server.times.append(time.monotonic())
            refusal = self.server.refusals.pop(0) if self.server.refusals else None
        if refusal:
            self.answer(*refusal)
            return
        events = [{"choices": [{"delta": {"content": self.server.content}}]},
                  {"choices": [{"delta": {}, "finish_reason": "stop"}]},
                  {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}]
        self.answer(200, "".join(f"data: {json.dumps(event)}\n\n" for event in events)
                    + "data: [DONE]\n\n")

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def scripted():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.models, server.content = ["m"], "\\boxed{355}"
    server.requests, server.times, server.refusals = [], [], []
    server.lock = threading.Lock()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("model, roles, fields", [
    ("DeepSeek-R1-Distill-Qwen-1.5B", ["user"],
     {"temperature": 0.6, "top_p": 0.95, "max_tokens": 32768}),
    ("Qwen2.5-Math-1.5B-Instruct", ["system", "user"], {"temperature": 0, "max_tokens": 2048}),
    ("gpt", ["user"], {"temperature": 0, "max_tokens": 2048})])
def test_each_family_is_asked_as_its_authors_say(bin_dir, scripted, tmp_path, model, roles, fields):
    scripted.models = [model]
    done = evaluate(bin_dir, scripted.url, tmp_path, "--limit", 1)
    assert done.returncode == 0, done.stderr_text
    samples = fields["temperature"] > 0
    assert len(scripted.requests) == (4 if samples else 1)
    for request in scripted.requests:
        assert request.items() >= fields.items() and request["model"] == model
        assert [message["role"] for message in request["messages"]] == roles
        assert sum(DIRECTIVE in message["content"] for message in request["messages"]) == 1
    assert sorted(request.get("seed", -1) for request in scripted.requests) == (
        [0, 1, 2, 3] if samples else [-1])


def test_a_busy_server_is_asked_again(bin_dir, scripted, tmp_path):
    busy = json.dumps({"error": {"message": "busy"}})
    scripted.refusals = [(429, busy, {"Retry-After": "3"}), (503, busy), (200, "data: {}\n\n")]
    done = evaluate(bin_dir, scripted.url, tmp_path, "--limit", 1)
    assert done.returncode == 0, done.stderr_text
    assert len(scripted.requests) == 4 and summary(tmp_path)["num_right"] == 1
    assert scripted.times[1] - scripted.times[0] >= 2.9, "no sooner than it asked for"
    assert summary(tmp_path)["tokens_per_correct"] == 7


def test_a_refusal_is_said_and_the_rest_is_asked(bin_dir, scripted, tmp_path):
    scripted.refusals = [(400, json.dumps({"error": {"message": "too long"}}))]
    words = ["--limit", 5, "--concurrency", 1]
    done = evaluate(bin_dir, scripted.url, tmp_path, *words)
    assert done.returncode == 1 and "1 requests failed" in done.stderr_text
    assert "too long" in done.stderr_text and len(transcripts(tmp_path)) == 4
    done = evaluate(bin_dir, scripted.url, tmp_path, *words)
    assert done.returncode == 0 and len(transcripts(tmp_path)) == 5
    assert len(scripted.requests) == 6, "only what was missing"


def test_a_server_that_refuses_everything_is_given_up(bin_dir, scripted, tmp_path):
    scripted.refusals = [(404, json.dumps({"error": {"message": "no such model"}}))] * 300
    done = evaluate(bin_dir, scripted.url, tmp_path, "--concurrency", 1)
    assert done.returncode == 1 and "no such model" in done.stderr_text
    assert len(scripted.requests) < 20


# ---- the page ----

def test_the_page_shows_filters_and_searches(bin_dir, scripted, browser, tmp_path):
    scripted.content = "<img src=x onerror=alert(1)></script> so \\boxed{355}"
    assert evaluate(bin_dir, scripted.url, tmp_path, "--limit", 12).returncode == 0
    rows = transcripts(tmp_path)
    right = sum(row["outcome"] == "right" for row in rows)
    assert 0 < right < 12
    troubles = []
    with browser.new_page() as page:
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append("dialog"))
        page.goto((tmp_path / "transcripts.html").as_uri())
        expect(page.locator("details")).to_have_count(12)
        page.get_by_role("button", name="right", exact=True).click()
        expect(page.locator("details")).to_have_count(right)
        page.get_by_role("button", name="all", exact=True).click()
        question = rows[0]["question"]
        page.get_by_role("searchbox").fill(question)
        expect(page.locator("details")).to_have_count(
            sum(question.lower() in row["question"].lower() for row in rows))
        page.locator("summary").first.click()
        expect(page.locator("details pre").last).to_have_text(scripted.content)
        assert troubles == [] and page.locator("img").count() == 0
