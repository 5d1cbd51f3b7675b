"""Behind nginx with its usual settings, a stream is still a stream."""

import http.client
import json
import re
import time

import nginx
import openai
import pytest
import sse
import stack
import streams
from raw import Connection, ask, wire

NUM_TOKENS = 60
# Some milliseconds for each token, so that it can be seen when each one comes.
FLAGS = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.02"]


def body(number=1, is_stream=True):
    return json.dumps(streams.body(number, is_stream, max_tokens=NUM_TOKENS))


@pytest.fixture(scope="module")
def served(bin_dir, tiny_model):
    with stack.Served(bin_dir, tiny_model, FLAGS) as served:
        yield served
        served.expect_rest()


@pytest.fixture(scope="module")
def proxy(served):
    with nginx.Nginx(served.port) as proxy:
        yield proxy
        assert "[crit]" not in proxy.errors() and "[alert]" not in proxy.errors()


class Arrivals:
    """One stream, and when its frames came: frames that one read gave came together."""

    def __init__(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        began = time.monotonic()
        connection.request("POST", path, body(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        self.text, self.times = "", []
        while piece := answer.read1(1 << 16).decode():
            self.text += piece
            self.times.append(time.monotonic() - began)
        connection.close()
        self.num_frames = len(sse.frames(self.text))

    @property
    def content(self):
        return streams.choice_of(self.text, None).content


@pytest.mark.parametrize("path", ["/v1/completions", "/http10/v1/completions"])
def test_frames_come_as_they_are_made(served, proxy, path):
    direct = Arrivals(served.port, "/v1/completions")
    through = Arrivals(proxy.port, path)
    assert through.content == direct.content
    print(f"{path}: {through.num_frames} frames in {len(through.times)} pieces from "
          f"{through.times[0]:.3f} to {through.times[-1]:.3f} s, directly in {len(direct.times)} "
          f"from {direct.times[0]:.3f} to {direct.times[-1]:.3f} s")
    assert len(through.times) > NUM_TOKENS / 2
    assert through.times[0] < through.times[-1] / 4
    # Half of the text is there at half of the time, not at its end.
    assert through.times[len(through.times) // 2] < 0.8 * through.times[-1]


def test_without_the_header_they_would_not(proxy):
    """So that the test above is known to see what it looks for."""
    deaf = Arrivals(proxy.port, "/deaf/v1/completions")
    assert len(deaf.times) < NUM_TOKENS / 4, deaf.times


def test_official_clients_stream_through_it(served, proxy):
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0) as client:
        for _ in range(3):
            parts = list(client.completions.create(
                model=served.served_name, prompt="a", max_tokens=8, stream=True,
                stream_options={"include_usage": True}))
            assert parts[-1].usage.completion_tokens == 8
        with pytest.raises(openai.BadRequestError) as error:
            client.completions.create(model=served.served_name, prompt="a", n=-1)
        assert error.value.body["param"] == "n"
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model="nobody", prompt="a")


def test_answers_of_every_kind_pass_whole(served, proxy):
    requests = [wire("/v1/models", method="GET"), wire("/v1/nothing", b"{}"),
                wire("/v1/completions", body(2, False)), wire("/v1/completions", "{"),
                wire("/tokenize", json.dumps({"prompt": "a b " * 100_000}))]
    with Connection(proxy.port) as connection:
        for request in requests:
            connection.send(request)
            through, direct = connection.answer(), ask(served.port, request)
            assert through.status == direct.status

            def comparable(answer):
                text = re.sub(r'"id": ?"cmpl[^"]*"|"created": ?\d+', "", answer.text)
                return re.sub(r'"cached_tokens": ?\d+', "", text)
            assert comparable(through) == comparable(direct)
        connection.send(wire("/v1/models", method="HEAD"))
        assert connection.answer("HEAD").headers["content-length"]


def test_a_body_over_the_limit_is_413_and_what_follows_is_served(proxy):
    """The gateway answers and closes while nginx is still sending."""
    with Connection(proxy.port) as connection:
        connection.send(wire("/v1/completions", json.dumps({"prompt": "x" * 4_000_000})))
        answer = connection.answer()
        assert answer.status == 413, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
        connection.send(wire("/health", method="GET"))
        assert connection.answer().status == 200


def test_the_connection_to_the_gateway_is_kept(served, proxy):
    """A hundred requests one after the other, streams among them, on a few connections."""
    gateway = served.pids()["gateway"]
    ask(proxy.port, wire("/health", method="GET"))
    before = stack.num_descriptors(gateway)
    with Connection(proxy.port) as connection:
        for number in range(100):
            connection.send(wire("/v1/completions", json.dumps(
                {"prompt": "a", "max_tokens": 1, "stream": number % 2 == 0})))
            assert connection.answer().status == 200
    assert stack.num_descriptors(gateway) <= before + 2


def test_a_client_that_leaves_frees_its_blocks_through_the_proxy(served, proxy):
    connections = [Connection(proxy.port) for _ in range(4)]
    for number, connection in enumerate(connections):
        connection.send(wire("/v1/completions", json.dumps(streams.body(number, True, 3000))))
        assert connection.head().status == 200
        connection.chunk()
    for connection in connections:
        connection.close()
    served.expect_rest()
