#!/usr/bin/env python3
"""What grammars cost the streams that follow one, and their neighbours that do not.

    scripts/grammar_bench.py build/PRESET MODEL [FLAG...]

`weft serve MODEL FLAG...` (for a GPU's speed alone: --load-format dummy) and `weft bench`, in turns: 32
streams without a grammar, 31 of them beside one with, and 32 with. The grammar is a JSON schema of
six fields.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from load_bench import Serve

STREAMS = 32
ROUNDS = 3
SCHEMA = {
    "type": "object", "additionalProperties": False,
    "required": ["title", "year", "tags", "rating", "kind", "steps"],
    "properties": {
        "title": {"type": "string"}, "year": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}}, "rating": {"type": "number"},
        "kind": {"enum": ["proof", "sum", "count"]},
        "steps": {"type": "array", "minItems": 40, "items": {
            "type": "object", "additionalProperties": False, "required": ["text", "result"],
            "properties": {"text": {"type": "string", "maxLength": 40},
                           "result": {"type": "integer"}}}}}}
STRUCTURED = ["--extra-body", json.dumps({
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}})]
LENGTHS = ["--random-input-len", "64", "--random-output-len", "512", "--temperature", "1"]


def start(served, streams, prompts, seed, flags=()):
    """A running `weft bench`, and the file that gets its JSON."""
    out = tempfile.NamedTemporaryFile("r")
    return subprocess.Popen(
        [served.weft, "bench", "--base-url", served.url, "--endpoint", "chat", "--max-concurrency",
         str(streams), "--num-prompts", str(prompts), "--seed", str(seed), "--json", out.name,
         "--ignore-eos=false", *LENGTHS, *flags],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), out


def finish(running):
    process, out = running
    process.wait()
    results = json.load(out)
    if results["errors"]:
        sys.exit(f"failed: {results['errors']}")
    return results


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    served = Serve(pathlib.Path(sys.argv[1]), sys.argv[2], *sys.argv[3:])
    kinds = {"none of 32 streams": [], "one of 32: the other 31": [], "all of 32": []}
    try:
        finish(start(served, STREAMS, STREAMS, 0, STRUCTURED))  # everything's first time
        for seed in range(1, ROUNDS + 1):
            none, one, every = kinds.values()
            none.append(finish(start(served, STREAMS, 3 * STREAMS, seed)))
            beside = start(served, 1, 4, seed, STRUCTURED)
            one.append(finish(start(served, STREAMS - 1, 3 * (STREAMS - 1), seed)))
            finish(beside)
            every.append(finish(start(served, STREAMS, 3 * STREAMS, seed, STRUCTURED)))
    finally:
        served.stop()
    print(f"medians of {ROUNDS}; ms between tokens\n")
    print("with a grammar            tokens/s   ITL p50    p99")
    for kind, runs in kinds.items():
        rate, p50, p99 = (statistics.median(run[name] for run in runs)
                          for name in ("output_throughput", "p50_itl_ms", "p99_itl_ms"))
        print(f"{kind:25} {rate:8,.0f}  {p50:8.3f} {p99:6.3f}")


if __name__ == "__main__":
    main()
