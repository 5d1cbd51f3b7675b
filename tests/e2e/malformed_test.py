"""Bad input through the real gateway: each is answered with the right status and an
error object that names what is wrong, harms nobody, and leaves nothing behind."""

import concurrent.futures
import functools
import json
import threading
import time

import bad_inputs
import grpc
import httpx
import pytest
import sse
import stack
from bad_inputs import CHAT, chat, completion, content
from raw import Connection, ask, wire
from reflection import Service

SMUGGLED = wire("/v1/models", method="GET")


class Neighbour:
    """A stream that is open meanwhile, and says what it says alone (I6)."""

    BODY = {"prompt": "Tom has 12 apples, buys 7 and", "max_tokens": 20, "temperature": 0,
            "ignore_eos": True, "stream": True}

    def __init__(self, port):
        self.connection = Connection(port)
        self.connection.send(wire("/v1/completions", json.dumps(self.BODY)))
        assert self.connection.head().status == 200
        self.body = self.connection.chunk()

    def text(self):
        while piece := self.connection.chunk():
            self.body += piece
        self.connection.close()
        [choice] = sse.read(self.body.decode()).choices.values()
        return choice.content


@functools.cache
def said_alone(port):
    return Neighbour(port).text()


@pytest.fixture
def neighbour(served):
    alone = said_alone(served.port)
    neighbour = Neighbour(served.port)
    yield neighbour
    assert neighbour.text() == alone


@pytest.fixture(scope="module", autouse=True)
def no_fault_is_ours(session_stack):
    """I5: not one 5xx for all this, but for a version of HTTP that is not spoken (505)."""
    def faults():
        return {dict(labels)["code"]: count for (name, labels), count
                in session_stack.metrics("gateway").samples.items()
                if name == "weft_gateway_http_requests_total"
                and dict(labels)["code"].startswith("5") and dict(labels)["code"] != "505"}
    before = faults()
    yield
    assert faults() == before


def expect_error(answer, case):
    assert answer.status == case.status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["type"] == case.type
    assert case.named in f"{error['message']} {error['param']}"
    assert len(error["message"]) < 1000, "an echo of the input"


@pytest.mark.parametrize("case", bad_inputs.FRAMING, ids=lambda case: case.what)
def test_bad_framing_is_refused_and_ends_the_connection(served, neighbour, case):
    with Connection(served.port) as connection:
        connection.send_meanwhile(case.data + SMUGGLED)
        answer = connection.answer()
        expect_error(answer, case)
        assert answer.headers["connection"] == "close"
        assert connection.rest() == b"", "what stood behind it was served"


@pytest.mark.parametrize("case", [*bad_inputs.ROUTING, *bad_inputs.BODIES],
                         ids=lambda case: case.what)
def test_bad_input_is_answered_with_its_cause(served, neighbour, case):
    with Connection(served.port) as connection:
        began = time.monotonic()
        connection.send_meanwhile(case.data)
        expect_error(connection.answer(), case)
        assert time.monotonic() - began < 2
        connection.send(wire("/health", method="GET"))
        assert connection.answer().status == 200, "the connection is no longer of use"


def test_a_request_that_stalls_is_408(served):
    """Its head, and its body; both take the ten seconds that a client has."""
    def stall(data):
        with Connection(served.port) as connection:
            connection.send(data)
            began = time.monotonic()
            answer = connection.answer()
            expect_error(answer, bad_inputs.Case("", b"", 408, "in time"))
            assert answer.headers["connection"] == "close"
            return time.monotonic() - began
    request = wire(*completion())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for seconds in pool.map(stall, [request[:30], request[:-5]]):
            assert 8 < seconds < 20


def test_a_temperature_of_1e_30_is_greedy(served):
    said = [ask(served.port, wire(*completion(temperature=temperature, max_tokens=8)))
            .json()["choices"] for temperature in (1e-30, 0)]
    assert said[0] == said[1]


def test_control_tokens_in_a_users_text_are_text(served):
    """They take more tokens than one, and end no turn."""
    for word in ("<|im_end|>", "<｜end▁of▁sentence｜>", "<｜Assistant｜>", "<think>"):
        answer = ask(served.port, wire(*content(f"Say {word} now")))
        assert answer.status == 200
        plain = httpx.post(f"{served.url}/tokenize", json={
            "prompt": word, "add_special_tokens": False}).json()["tokens"]
        assert len(plain) > 1, f"{word} is one token"


def test_over_context_has_openais_code(served):
    answer = ask(served.port, wire(*completion(prompt="one two three " * 20_000)))
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "maximum context length" in answer.json()["error"]["message"]


def test_a_million_letters_are_refused_within_a_second_and_others_go_on(served):
    gaps, has_ended = [], threading.Event()

    def stream():
        body = {"prompt": "a", "max_tokens": 300, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{served.url}/v1/completions", json=body, timeout=30) as answer:
            last = time.monotonic()
            for _ in answer.iter_raw():
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
        has_ended.set()

    reader = threading.Thread(target=stream, daemon=True)
    reader.start()
    assert stack.eventually(lambda: len(gaps) > 5, 10)
    started_at = time.monotonic()
    answer = ask(served.port, wire(*content("a" * 1_000_000)))
    assert answer.status == 400
    assert time.monotonic() - started_at < 1
    assert has_ended.wait(30)
    assert max(gaps[5:]) < 1


def test_what_cannot_fit_the_kv_cache_is_never_queued(bin_dir, tiny_model):
    # 512 bytes a token: 2 layers, keys and values of 2 heads of 16 floats.
    with stack.Served(bin_dir, tiny_model, ["--dtype", "float32", "--kv-cache-memory-bytes",
                                            str(512 * 512)]) as served:
        answer = ask(served.port, wire(*completion(prompt="a", max_tokens=2000)))
        assert answer.status == 400, answer.text
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert served.metric("scheduler", "weft_scheduler_requests_waiting") == 0
        assert ask(served.port, wire(*completion(max_tokens=100))).status == 200


# ---- gRPC ----

def test_an_oversized_grpc_message_is_resource_exhausted(served, neighbour):
    with grpc.insecure_channel(served.grpc_address) as channel:
        complete = Service(channel).method("Complete")
        with pytest.raises(grpc.RpcError) as error:
            complete(text="a" * (32 << 20), options={"max_tokens": 1})
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert complete(text="a", options={"max_tokens": 1}).choices


def test_a_grpc_call_without_a_deadline_gets_the_servers(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {
            "worker": ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed",
                       "0.001"],
            "gateway": ["--request-timeout=1"]}) as served:
        with grpc.insecure_channel(served.grpc_address) as channel:
            complete = Service(channel).method("Complete")
            began = time.monotonic()
            with pytest.raises(grpc.RpcError) as error:
                complete(timeout=None, text="a", options={"max_tokens": 3000, "ignore_eos": True})
            assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert 0.8 < time.monotonic() - began < 5
        served.expect_rest()


def test_after_all_this_a_client_is_served(served, client):
    assert client.completions.create(model=served.served_name, prompt="a", max_tokens=2)
    for tier, pid in served.pids().items():
        assert stack.is_running(pid), tier
    assert "worker ended" not in served.log()
