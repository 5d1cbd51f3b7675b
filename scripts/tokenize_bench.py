#!/usr/bin/env python3
"""What a long prompt costs its neighbours: 1 MiB of text is tokenized again and again
while streams go on.

    scripts/tokenize_bench.py build/PRESET [MODEL...]

`weft serve --backend simulated` with the tokenizer of each MODEL (a folder; by default the
demo model), `weft bench` for the streams. The same load runs without and with it in turns.
"""

import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

from load_bench import DEMO, R1_SHAPE, all_right, serve

MIB = 1 << 20
STREAMS = ["--max-concurrency", "16", "--num-prompts", "96"]


def texts():
    """{what: a text of 1 MiB in UTF-8}"""
    rng = random.Random(1)
    words = (pathlib.Path(__file__).resolve().parent.parent / "README.md").read_text().split(" ")

    def fill(piece):
        text = ""
        while len(text) < MIB:
            text += piece()
        while len(text.encode()) > MIB:
            text = text[:-max(1, (len(text.encode()) - MIB) // 4)]
        return text
    return {
        "prose": fill(lambda: " ".join(rng.choice(words) for _ in range(500)) + " "),
        "Chinese": fill(lambda: "".join(chr(rng.randint(0x4e00, 0x9fa5)) for _ in range(999)) + "。"),
        "one letter": "a" * MIB,
        "blanks": " " * (MIB - 1) + "x"}


class Tokenizing:
    """One client that asks for the tokens of a text, one time after the other."""

    def __init__(self, url, text):
        body = json.dumps({"prompt": text, "add_special_tokens": False}, ensure_ascii=False)
        self.request = urllib.request.Request(f"{url}/tokenize", body.encode(),
                                              {"Content-Type": "application/json"})
        self.seconds, self.num_tokens, self.stopping = [], 0, False
        self.thread = threading.Thread(target=self.run)

    def ask(self):
        began = time.monotonic()
        with urllib.request.urlopen(self.request, timeout=60) as answer:
            start = answer.read(64)  # the answer's first bytes: its reading is not the tokenizer's
            seconds = time.monotonic() - began
            answer.read()
        self.seconds.append(seconds)
        self.num_tokens = int(start.split(b'"count":')[1].split(b",")[0])

    def run(self):
        while not self.stopping:
            self.ask()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


def model_folder(model, folder):
    """The model's tokenizer, in the shape that the simulated worker takes its time for."""
    config = json.loads((model / "config.json").read_text()) | R1_SHAPE
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((model / name).read_bytes())
    return folder


def measure(build, model):
    print(f"{model.name}: 16 streams; ms between tokens without, and while 1 MiB is tokenized\n")
    print("text        tokens   s/MiB alone, beside  |  ITL p50         p99          added")
    with tempfile.TemporaryDirectory() as folder, \
            serve(build, model_folder(model, pathlib.Path(folder))) as served:
        served.load(*STREAMS)  # everything's first time
        for what, text in texts().items():
            alone = Tokenizing(served.url, text)
            for _ in range(3):
                alone.ask()
            without, beside, seconds = [], [], []
            for seed in ("1", "2", "3"):
                results, _ = served.load(*STREAMS, "--seed", seed)
                all_right(results)
                without.append(results)
                with Tokenizing(served.url, text) as tokenizing:
                    results, _ = served.load(*STREAMS, "--seed", seed)
                all_right(results)
                beside.append(results)
                seconds += tokenizing.seconds

            def median(runs, name):
                return statistics.median(run[name] for run in runs)
            p50, p99 = ([median(runs, name) for runs in (without, beside)]
                        for name in ("p50_itl_ms", "p99_itl_ms"))
            print(f"{what:10} {alone.num_tokens:8,}  {statistics.median(alone.seconds):10.2f}"
                  f" {statistics.median(seconds):7.2f}  | {p50[0]:6.2f} {p50[1]:6.2f}"
                  f"  {p99[0]:6.2f} {p99[1]:6.2f}  {p99[1] - p99[0]:6.2f}", flush=True)
    print()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for model in map(pathlib.Path, sys.argv[2:] or [DEMO]):
        measure(pathlib.Path(sys.argv[1]), model)


if __name__ == "__main__":
    main()
