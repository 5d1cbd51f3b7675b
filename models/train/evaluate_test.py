"""The examiner against a server that knows every answer, and one that knows none."""

import http.server
import json
import subprocess
import sys
import threading

import pytest

import evaluate
import problems


class Oracle(http.server.BaseHTTPRequestHandler):
    """Answers chat completions from a table {question: answer}."""

    table = {}

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions" and body["temperature"] == 0
        answer = self.table.get(body["messages"][-1]["content"])
        message = dict(role="assistant", content=f"It is {answer}.\n\n\\boxed{{{answer}}}",
                       reasoning_content="Let me see.")
        if answer is None:  # still thinking when the tokens ran out
            message["content"] = None
        reply = json.dumps(dict(
            choices=[dict(message=message, finish_reason="stop" if answer else "length")],
            usage=dict(completion_tokens=7))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


@pytest.fixture
def oracle():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Oracle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Oracle.table = {}
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def report(url, tmp_path, *more):
    out = tmp_path / "report.json"
    done = subprocess.run([sys.executable, evaluate.__file__, "--base-url", url, "--count", "10",
                           "--out", str(out), *more], capture_output=True, text=True, check=True)
    return json.loads(out.read_text())["figures"], done.stdout


def test_a_server_that_knows_everything_gets_full_marks(oracle, tmp_path):
    for kind in ("seen", "unseen", "family", "follow_up"):
        for item in problems.examination(kind, 10, 0):
            Oracle.table.update(zip(item["turns"], item["answers"]))
    row = dict(question="How many?", answer="4 * 250 = <<4*250=1000>>1000\n#### 1,000")
    (tmp_path / "gsm8k.jsonl").write_text(json.dumps(row) + "\n")
    Oracle.table["How many?"] = "1000"
    figures, text = report(oracle, tmp_path, "--gsm8k", str(tmp_path / "gsm8k.jsonl"))
    assert set(figures) == set(evaluate.KINDS)
    assert all(figure["right"] == figure["finished"] == 1 for figure in figures.values())
    assert "100.0%" in text


def test_thinking_that_never_closes_is_wrong_and_counted(oracle, tmp_path):
    figures, _ = report(oracle, tmp_path)
    assert all(figure["right"] == figure["finished"] == 0 for figure in figures.values())
