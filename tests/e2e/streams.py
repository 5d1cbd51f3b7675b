"""Streams that are open while something breaks, and what each of them has to say."""

import threading
import time

import httpx
import sse
import stack

NUM_STREAMS = 6
FAST = ["--dtype", "float32"]
# A step takes some milliseconds, so that faults come while streams are open.
SIMULATED = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.015"]


def body(number, is_stream=True, max_tokens=1500):
    return {"prompt": f"Number {number} goes on and on:", "max_tokens": max_tokens,
            "temperature": 0.8, "seed": number, "ignore_eos": True, "stream": is_stream}


class Readers:
    """Streams that are read, each in its own thread, until they end one way or another."""

    def __init__(self, served, count=NUM_STREAMS, **fields):
        self.fields = fields
        self.texts = [""] * count
        self.broken = [None] * count
        self.gaps = [0.0] * count  # the longest between two reads
        self.threads = [threading.Thread(target=self.read, args=(served, number), daemon=True)
                        for number in range(count)]
        for thread in self.threads:
            thread.start()

    def read(self, served, number):
        try:
            with httpx.stream("POST", f"{served.url}/v1/completions", timeout=60,
                              json=body(number, **self.fields)) as answer:
                last = None
                for part in answer.iter_text():
                    now = time.monotonic()
                    if last is not None:
                        self.gaps[number] = max(self.gaps[number], now - last)
                    last = now
                    self.texts[number] += part
        except httpx.HTTPError as error:
            self.broken[number] = error

    def wait_for_tokens(self, count):
        assert stack.eventually(lambda: all(text.count("data: ") >= count for text in self.texts),
                                20), "no tokens"
        self.expect_open()

    def expect_open(self):
        assert all(thread.is_alive() for thread in self.threads), "over before the fault"

    def join(self, limit_s=60):
        for thread in self.threads:
            thread.join(limit_s)
            assert not thread.is_alive(), "a stream hangs"


def choice_of(text, error):
    assert error is None
    stream = sse.read(text)
    assert stream.error is None
    [choice] = stream.choices.values()
    assert choice.finish_reason == "length"
    return choice


def expect_whole(readers, undisturbed):
    for text, error, expected in zip(readers.texts, readers.broken, undisturbed):
        assert choice_of(text, error).content == expected, "a token was lost, repeated or changed"


def expect_begun(readers, undisturbed):
    """They were asked for less: the last token may have ended within a character."""
    for text, error, expected in zip(readers.texts, readers.broken, undisturbed):
        content = choice_of(text, error).content.rstrip("\N{REPLACEMENT CHARACTER}")
        assert content and expected.startswith(content)
