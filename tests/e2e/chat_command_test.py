"""`weft chat`: one question, and a conversation on a terminal."""

import http.server
import json
import os
import pty
import re
import signal
import subprocess
import threading

import certificates
import pytest
import stack
from stack import die_with_us, eventually


def command(bin_dir, url, *words):
    return [str(bin_dir / "weft"), "chat", "--url", url, *map(str, words)]


def environment(**changes):
    return {"PATH": os.environ["PATH"], **changes}


def ask(bin_dir, url, *words, **options):
    changes = options.pop("environment", {})
    return subprocess.run(command(bin_dir, url, *words), capture_output=True, text=True, timeout=60,
                          check=False, env=environment(**changes), **options)


# ---- one question ----

def test_a_question_is_answered_on_standard_output(bin_dir, served, client):
    done = ask(bin_dir, served.url, "--max-tokens", 400, "What is", "17 + 25?")
    assert done.returncode == 0, done.stderr
    answer = client.chat.completions.create(
        model=served.served_name, max_tokens=400,
        messages=[{"role": "user", "content": "What is 17 + 25?"}]).choices[0].message
    assert answer.reasoning_content, "the model shall have something that is left out"
    assert "42" in done.stdout and answer.reasoning_content not in done.stdout
    assert "\033" not in done.stdout and done.stdout.endswith("\n") and done.stderr == ""


def test_an_answer_that_is_cut_off_says_so(bin_dir, served):
    done = ask(bin_dir, served.url + "/v1/", "--max-tokens", 3, "What is 17 + 25?")
    assert done.returncode == 0 and "cut off" in done.stderr


@pytest.mark.parametrize("words, code, explanation", [
    (["--model", "absent", "x"], 1, "absent"),
    (["--url", "127.0.0.1:8000", "x"], 2, "it looks like http://"),
    (["--api-key", "a b", "x"], 2, "no header may hold"),
    (["--max-tokens", "-1", "x"], 2, "--max-tokens"),
    (["--modle", "x"], 2, "did you mean --model?"),
])
def test_what_cannot_be_asked_is_said(bin_dir, served, words, code, explanation):
    done = subprocess.run([bin_dir / "weft", "chat", *(["--url", served.url] * (code == 1)), *words],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code and done.stdout == ""
    assert explanation in done.stderr


def test_nobody_listening_is_said(bin_dir):
    [port] = stack.free_ports(1)
    done = ask(bin_dir, f"http://127.0.0.1:{port}", "x")
    assert done.returncode == 1 and f"http://127.0.0.1:{port}: " in done.stderr


def test_lines_of_a_pipe_are_questions(bin_dir, served):
    done = ask(bin_dir, served.url, "--max-tokens", 400, input="What is 17 + 25?\n\nWhat is 2 + 2?")
    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout and "4" in done.stdout.splitlines()[-1] and ">" not in done.stdout


# ---- over TLS, with a key ----

def test_a_server_with_tls_and_a_key(bin_dir, tiny_model, tmp_path):
    authority = certificates.Authority(tmp_path / "authority")
    authority.issue(tmp_path / "server", ["IP:127.0.0.1"])
    flags = ["--dtype", "float32", "--tls-cert", tmp_path / "server" / "tls.crt",
             "--tls-key", tmp_path / "server" / "tls.key"]
    key = "a-key-of-24-characters-x"
    with stack.Served(bin_dir, tiny_model, map(str, flags), environment={"WEFT_API_KEY": key}) as served:
        url = f"https://127.0.0.1:{served.port}"
        done = ask(bin_dir, url, "x")
        assert done.returncode == 1 and "certificate" in done.stderr
        trusted = ["--ca-file", authority.cert, "--max-tokens", 5, "x"]
        done = ask(bin_dir, url, *trusted)
        assert done.returncode == 1 and "WEFT_API_KEY" in done.stderr
        for given in ({"WEFT_API_KEY": key}, {"OPENAI_API_KEY": key}):
            done = ask(bin_dir, url, *trusted, environment=given)
            assert done.returncode == 0, done.stderr
        done = ask(bin_dir, url, "--max-tokens", 5, "x",
                   environment={"WEFT_API_KEY": key, "SSL_CERT_FILE": str(authority.cert)})
        assert done.returncode == 0, done.stderr


# ---- a server that misbehaves ----

class Misbehaving(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer(json.dumps({"data": [{"id": name} for name in self.server.models]}))

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.server.stream)

    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())


def event(**delta):
    return "data: " + json.dumps({"choices": [{"delta": delta}]}) + "\n\n"


@pytest.fixture
def misbehaving():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.models, server.stream = ["m"], ""
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("stream, explanation", [
    (event(content="half"), "the answer ended early"),
    (event(content="half") + 'data: {"error": {"message": "worker lost"}}\n\ndata: [DONE]\n\n',
     "worker lost"),
    ("<html>", "the answer ended early"),
    ("data: <html>\n\n", "no JSON object"),
])
def test_half_an_answer_is_a_failure(bin_dir, misbehaving, stream, explanation):
    misbehaving.stream = stream
    done = ask(bin_dir, misbehaving.url, "x")
    assert done.returncode == 1 and explanation in done.stderr


def test_which_of_several_models_must_be_said(bin_dir, misbehaving):
    misbehaving.models = ["a", "b"]
    done = ask(bin_dir, misbehaving.url, "x")
    assert done.returncode == 1 and "a, b: --model says which" in done.stderr
    misbehaving.models = []
    assert "has no model" in ask(bin_dir, misbehaving.url, "x").stderr


# ---- on a terminal ----

class Typist:
    """weft chat on a terminal of its own, and who types there."""

    def __init__(self, words):
        self.process, self.screen = None, ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            die_with_us()
            os.execve(words[0], words, environment())
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        try:
            while data := os.read(self.terminal, 4096):
                self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # the other side has ended
            pass

    def type(self, text):
        """What appears from here on is what expect looks at."""
        self.begin = len(self.screen)
        os.write(self.terminal, text.encode())

    def expect(self, pattern, limit_s=30):
        found = eventually(lambda: re.search(pattern, self.screen[self.begin:], re.DOTALL), limit_s)
        assert found, f"no {pattern} in {self.screen[self.begin:]!r}"
        return found

    def exit_code(self):
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def __enter__(self):
        self.begin = 0
        self.expect("> $")
        return self

    def __exit__(self, *error):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


def test_a_conversation_shows_reasoning_dim(bin_dir, served):
    with Typist(command(bin_dir, served.url, "--max-tokens", 400)) as typist:
        typist.type("What is 17 + 25?\n")
        shown = typist.expect("\033\\[2m(.+?)\033\\[0m(.+)\n> $")
        assert "42" in shown[2] and shown[1].strip()
        typist.type("/quit\n")
        assert typist.exit_code() == 0


def test_a_conversation_remembers_until_it_is_reset(bin_dir, misbehaving):
    seen = []

    def do_POST(self):
        seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(event(reasoning_content="hm") + event(content=f"answer {len(seen)}")
                    + "data: [DONE]\n\n")

    misbehaving.RequestHandlerClass = type("Remembering", (Misbehaving,), {"do_POST": do_POST})
    with Typist(command(bin_dir, misbehaving.url, "--system", "Be brief.", "--max-tokens", 7)) as typist:
        for line, answer in (("one", "answer 1"), ("two", "answer 2")):
            typist.type(line + "\n")
            typist.expect(answer + "\n> $")
        typist.type("/reset\n")
        typist.expect("> $")
        typist.type("three\n")
        typist.expect("answer 3\n> $")
        typist.type("\x04")  # Ctrl-D
        assert typist.exit_code() == 0
    system = {"role": "system", "content": "Be brief."}
    assert [request["messages"] for request in seen] == [
        [system, {"role": "user", "content": "one"}],
        [system, {"role": "user", "content": "one"}, {"role": "assistant", "content": "answer 1"},
         {"role": "user", "content": "two"}],
        [system, {"role": "user", "content": "three"}]]
    assert all(request["max_tokens"] == 7 and request["model"] == "m" for request in seen)


@pytest.fixture(scope="module")
def endless(bin_dir, tiny_model):
    """Answers that go on until they are stopped: tokens of no sense, and no end."""
    flags = ["--backend", "simulated", "--simulated-speed", "0.2", "--max-model-len", "4096"]
    with stack.Served(bin_dir, tiny_model, flags) as served:
        yield served


def test_ctrl_c_stops_the_answer_and_not_the_conversation(bin_dir, endless):
    with Typist(command(bin_dir, endless.url)) as typist:
        for _ in range(2):
            typist.type("Go on.\n")
            typist.expect(r"Go on\.\n.{20}")
            typist.type("\x03")
            typist.expect("\n> $", limit_s=3)
            assert eventually(lambda: not endless.busy(), 2), "the server goes on"
        typist.type("half a li\x03")
        typist.expect("Ctrl-D or /quit ends.*> $", limit_s=3)
        typist.type("/quit\n")
        assert typist.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_question(bin_dir, endless, number):
    process = subprocess.Popen(command(bin_dir, endless.url, "Go on."), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=die_with_us)
    assert eventually(endless.busy, 10)
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == 128 + number
    assert eventually(lambda: not endless.busy(), 2), "the server goes on"


def test_a_lost_server_leaves_the_conversation(bin_dir, misbehaving):
    with Typist(command(bin_dir, misbehaving.url)) as typist:
        misbehaving.stream = event(content="half")
        typist.type("x\n")
        typist.expect("half\nweft chat: the answer ended early\n> $")
        misbehaving.stream = event(content="whole \033[2J") + "data: [DONE]\n\n"
        typist.type("x\n")
        typist.expect(r"whole \[2J\n> $")
        os.kill(typist.pid, signal.SIGTERM)
        assert typist.exit_code() == 128 + signal.SIGTERM
