"""Streams on the wire: how requests may come, how answers go out, and that their text
is whole whatever its reader is like."""

import functools
import json
import random
import socket
import time

import pytest
import sse
import stack
import streams
from raw import Connection, ask, chunked, wire

COMPLETIONS = "/v1/completions"
FIELDS = {"prompt": "Tom has 12 äpples 日本 👩‍👧 and", "max_tokens": 24, "temperature": 0,
          "ignore_eos": True}
STREAM = json.dumps({**FIELDS, "stream": True}, ensure_ascii=False)
HEALTH = wire("/health", method="GET")


def content(text):
    stream = sse.read(text)
    assert stream.error is None
    [choice] = stream.choices.values()
    return choice.content


@functools.cache
def whole_text(port):
    return ask(port, wire(COMPLETIONS, json.dumps(FIELDS))).json()["choices"][0]["text"]


# ---- requests ----

def test_a_stream_leaves_its_connection_for_the_next(served):
    with Connection(served.port) as connection:
        for _ in range(3):
            connection.send(wire(COMPLETIONS, STREAM))
            assert content(connection.answer().text) == whole_text(served.port)
        connection.send(HEALTH)
        assert connection.answer().status == 200


def test_pipelined_requests_are_answered_in_order(served):
    with Connection(served.port) as connection:
        connection.send(wire("/v1/models", method="GET") + wire(COMPLETIONS, STREAM)
                        + wire(COMPLETIONS, '{"prompt": 5.5}') + wire(COMPLETIONS, STREAM) + HEALTH)
        assert connection.answer().json()["object"] == "list"
        assert content(connection.answer().text) == whole_text(served.port)
        assert connection.answer().status == 400
        assert content(connection.answer().text) == whole_text(served.port)
        assert connection.answer().json() == {"status": "ok"}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_may_come_in_chunks_cut_anywhere(served, size):
    body = STREAM.encode()
    chunks = [body[i:i + size] for i in range(0, len(body), size)]
    with Connection(served.port) as connection:
        for part in chunked(COMPLETIONS, *chunks).split(b"\r\n"):  # and in many packets
            connection.send(part + b"\r\n")
        answer = connection.head()
        assert answer.status == 200
        text = b"".join(iter(connection.chunk, b"")).decode()
        assert content(text) == whole_text(served.port)


def test_who_waits_for_continue_is_told_to(served):
    request = wire(COMPLETIONS, STREAM, headers=["Expect: 100-continue"])
    head, body = request.split(b"\r\n\r\n", 1)
    with Connection(served.port) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.answer().status == 100
        connection.send(body)
        assert content(connection.answer().text) == whole_text(served.port)


def test_head_gets_what_get_would_without_the_body(served):
    with Connection(served.port) as connection:
        for path in ("/v1/models", "/health", "/v1/nothing", COMPLETIONS):
            connection.send(wire(path, method="GET"))
            by_get = connection.answer()
            connection.send(wire(path, method="HEAD"))
            by_head = connection.answer("HEAD")
            assert by_head.status == by_get.status
            if by_get.status == 200:  # an error's message names the method
                assert by_head.headers["content-length"] == by_get.headers["content-length"]
            assert by_head.headers["content-type"] == by_get.headers["content-type"]


def test_a_client_of_http_1_0_gets_its_stream_until_the_end(served):
    with Connection(served.port) as connection:
        connection.send(wire(COMPLETIONS, STREAM, version="1.0", headers=["Connection: keep-alive"]))
        answer = connection.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert content(answer.text) == whole_text(served.port)
    with Connection(served.port) as connection:  # whole answers leave it open
        for _ in range(2):
            connection.send(wire("/health", method="GET", version="1.0",
                                 headers=["Connection: keep-alive"]))
            assert connection.answer().headers["connection"] == "keep-alive"


def test_half_a_close_gets_what_is_ready_and_ends_what_is_not(served):
    """A client's end of sending cannot be told from its leaving: nothing is computed for it."""
    with Connection(served.port) as connection:
        connection.send(HEALTH)
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().status == 200
        assert connection.rest() == b""
    with Connection(served.port) as connection:
        connection.send(wire(COMPLETIONS, json.dumps({**FIELDS, "stream": True,
                                                      "max_tokens": 1000})))
        connection.head()
        connection.chunk()
        connection.socket.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        served.expect_rest()
        assert b"[DONE]" not in connection.rest()
        assert time.monotonic() - began < 2


# ---- answers ----

def test_a_stream_says_that_it_must_not_be_held_back(served):
    stream = ask(served.port, wire(COMPLETIONS, STREAM)).headers
    assert stream["content-type"] == "text/event-stream; charset=utf-8"
    assert stream["x-accel-buffering"] == "no"
    assert set(stream["cache-control"].split(", ")) == {"no-cache", "no-transform"}
    assert "x-accel-buffering" not in ask(served.port, wire(COMPLETIONS, json.dumps(FIELDS))).headers


def test_usage_comes_last_or_with_each_chunk_as_asked(served):
    def chunks(**options):
        body = {**FIELDS, "stream": True, "stream_options": options}
        text = ask(served.port, wire(COMPLETIONS, json.dumps(body))).text
        return [json.loads(frame) for frame in sse.frames(text)[:-1]]

    *parts, last = chunks(include_usage=True)
    assert all(part["usage"] is None and part["choices"] for part in parts)
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == FIELDS["max_tokens"]
    *parts, again = chunks(include_usage=True, continuous_usage_stats=True)
    assert again["usage"]["completion_tokens"] == FIELDS["max_tokens"]
    counts = [part["usage"]["completion_tokens"] for part in parts]
    assert counts == sorted(counts) and counts[0] < counts[-1] == FIELDS["max_tokens"]
    assert all(part["usage"]["total_tokens"] == part["usage"]["prompt_tokens"]
               + part["usage"]["completion_tokens"] for part in parts)
    assert all("usage" not in part for part in chunks(include_usage=False))


def test_stop_strings_are_held_back_exactly(served):
    """Wherever a stop string begins or only seems to, not a letter of it is sent, nor one less."""
    def said(stop):
        body = json.dumps({**FIELDS, "stream": True, "stop": stop}, ensure_ascii=False)
        text = ask(served.port, wire(COMPLETIONS, body)).text
        [choice] = sse.read(text).choices.values()
        return choice.content, choice.finish_reason

    whole = whole_text(served.port)
    for begin in range(0, len(whole) - 1, 3):
        for size in (1, 3, 8):
            stop = whole[begin:begin + size]
            assert said([stop]) == (whole[:whole.index(stop)], "stop")
        almost = whole[begin:begin + 5] + "\0"
        assert said([almost, whole[-4:] + "\0"]) == (whole, "length")


# The tokens of bytes: GPT-2's signs for C3, A4 ("ä"), E6, 97, A5 ("日").
BYTES = {"Ã": 0xC3, "¤": 0xA4, "æ": 0xE6, "Ĺ": 0x97, "¥": 0xA5}


@pytest.fixture(scope="module")
def byte_tokens(demo_model):
    vocabulary = json.loads((demo_model / "tokenizer.json").read_text())["model"]["vocab"]
    return [vocabulary[sign] for sign in BYTES]


def test_no_frame_ends_within_a_character(bin_dir, tiny_model, byte_tokens):
    """Tokens of single bytes in any order: characters whole, cut short, and never begun."""
    with stack.Served(bin_dir, tiny_model, streams.FAST) as served:
        body = {"prompt": "a", "max_tokens": 300, "temperature": 2, "ignore_eos": True,
                "logit_bias": {str(token): 100 for token in byte_tokens}}
        seen = ""
        for seed in range(5):
            request = {**body, "seed": seed}
            whole = ask(served.port, wire(COMPLETIONS, json.dumps(request))).json()
            stream = ask(served.port, wire(COMPLETIONS, json.dumps({**request, "stream": True})))
            assert content(stream.text) == whole["choices"][0]["text"]
            seen += whole["choices"][0]["text"]
        # Were half a character sent by itself, there would be nothing but U+FFFD.
        characters = set(seen)
        assert "\N{REPLACEMENT CHARACTER}" in characters and len(characters) > 1
        served.expect_rest()


def test_an_error_in_mid_stream_is_an_event_and_leaves_the_connection(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": streams.SIMULATED,
                                           "scheduler": ["--no-worker-timeout=0.5"]}) as tiers:
        with Connection(tiers.port) as connection:
            connection.send(wire(COMPLETIONS, json.dumps({**FIELDS, "stream": True,
                                                          "max_tokens": 3000})))
            assert connection.head().status == 200
            text = connection.chunk().decode()
            tiers.kill_tier("worker")
            text += b"".join(iter(connection.chunk, b"")).decode()
            error = sse.read(text).error  # then [DONE], and nothing else
            assert set(error) >= {"message", "type", "param", "code"}
            assert error["type"] == "server_error" and "no worker" in error["message"]
            connection.send(HEALTH)
            assert connection.answer().status == 503
        tiers.expect_rest()


def test_who_reads_slowly_gets_fewer_and_larger_frames_of_the_same_text(bin_dir, tiny_model):
    flags = ["--backend", "simulated", "--simulated-speed", "50", "--max-model-len", "131072"]
    num_tokens = 8000
    body = json.dumps({"prompt": "a", "max_tokens": num_tokens, "ignore_eos": True, "stream": True,
                       "seed": 7})

    with stack.Served(bin_dir, tiny_model, flags) as served:
        def num_generated():
            return served.metric("scheduler", "weft_scheduler_generation_tokens_total")

        def read(slowly):
            with Connection(served.port, receive_buffer=4096 if slowly else 0) as connection:
                connection.send(wire(COMPLETIONS, body))
                assert connection.head().status == 200
                if slowly:  # all is generated before a letter is read
                    assert stack.eventually(lambda: num_generated() == 2 * num_tokens, 60)
                text = b"".join(iter(connection.chunk, b"")).decode()
                return content(text), len(sse.frames(text)), len(text)

        text, num_frames, num_bytes = read(slowly=False)
        slow_text, num_slow_frames, num_slow_bytes = read(slowly=True)
        print(f"{num_frames} frames, {num_bytes} bytes; slowly {num_slow_frames}, {num_slow_bytes}")
        assert slow_text == text
        assert num_slow_frames < num_frames / 4
        served.expect_rest()


def test_requests_cut_anywhere_are_read_the_same(served):
    """Seeded: one connection, twenty requests, packets of random sizes."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    kinds = [HEALTH, wire(COMPLETIONS, STREAM), chunked(COMPLETIONS, STREAM.encode()),
             wire(COMPLETIONS, STREAM, headers=["Expect: 100-continue"])]
    chosen = [rng.choice(kinds) for _ in range(20)]
    with Connection(served.port) as connection:
        for request in chosen:
            left = request
            while left:
                size = rng.randint(1, 80)
                connection.send(left[:size])
                left = left[size:]
            answer = connection.answer()
            while answer.status == 100:
                answer = connection.answer()
            assert answer.status == 200
            if request != HEALTH:
                assert content(answer.text) == whole_text(served.port)
