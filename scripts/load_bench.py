#!/usr/bin/env python3
"""What the host costs: real processes under load, with workers that compute nothing.

    scripts/load_bench.py build/PRESET

`weft serve --backend simulated` and `weft bench` on this machine. Its steps take what a GPU's
would; `weft simulate` says what the same load would see if all else took no time.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

DEMO = pathlib.Path(__file__).resolve().parent.parent / "models" / "weft-demo-r1"
R1_SHAPE = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
            "num_attention_heads": 12, "num_key_value_heads": 2, "head_dim": 128,
            "vocab_size": 151936, "tie_word_embeddings": False}
LENGTHS = ["--random-input-len", "64", "--random-output-len", "512"]
TIERS = ("weft-gateway", "weft-scheduler", "weft-worker")


def make_model(folder):
    """What the simulated worker takes its time for: R1's shape, the demo model's tokenizer."""
    config = json.loads((DEMO / "config.json").read_text()) | R1_SHAPE
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_bytes((DEMO / name).read_bytes())


class Serve:
    def __init__(self, build, model, *flags):
        self.weft = str(build / "bin" / "weft")
        self.model = str(model)
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [self.weft, "serve", self.model, "--port", "0", "--grpc-port", "0", "--log-level",
             "warning", "--drain-timeout", "0", *flags],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        for line in self.process.stdout:
            if found := re.search(r"curl (http://[^/]+)/", line):
                self.url = found.group(1)
                return
        self.log.seek(0)
        sys.exit(f"weft serve ended: {self.log.read()}")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def cpu_seconds(self):
        """{tier: user and system time so far}"""
        children = pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        seconds = {}
        for pid in children:
            name, fields = re.fullmatch(r"\d+ \((.*)\) (.*)",
                                        pathlib.Path(f"/proc/{pid}/stat").read_text().strip(),
                                        re.DOTALL).groups()
            user, system = map(int, fields.split()[11:13])
            seconds[name] = (user + system) / os.sysconf("SC_CLK_TCK")
        return seconds

    def load(self, *flags):
        """One run of `weft bench`: its JSON, and each tier's CPU time in it."""
        before = self.cpu_seconds()
        results = weft_json(self.weft, "bench", "--base-url", self.url, "--vocab-size", "4000",
                            "--check-simulated", self.model, *LENGTHS, *flags)
        after = self.cpu_seconds()
        return results, {tier: after[tier] - before[tier] for tier in TIERS}


@contextlib.contextmanager
def serve(build, model, *flags):
    """With a worker that computes nothing."""
    served = Serve(build, model, "--backend", "simulated", *flags)
    try:
        yield served
    finally:
        served.stop()


def weft_json(weft, *command):
    with tempfile.NamedTemporaryFile("r") as out:
        subprocess.run([weft, *command, "--json", out.name], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        return json.load(out)


def all_right(results):
    """No failures but the rejections, if any."""
    wrong = [error for error in results["errors"] if error["kind"] != "HTTP 503"]
    if wrong:
        sys.exit(f"wrong answers: {wrong}")


def throughput(build, model):
    print("256 streams, every token checked; CPU in us per token\n")
    print("tokens/s   gateway  scheduler  worker  client")
    with serve(build, model, "--simulated-speed", "50") as served:
        served.load("--max-concurrency", "256", "--num-prompts", "256")  # everything's first time
        for seed in ("1", "2", "3"):
            results, cpu = served.load("--max-concurrency", "256", "--num-prompts", "4096",
                                       "--seed", seed)
            all_right(results)
            tokens = results["total_output_tokens"]
            gateway, scheduler, worker = (1e6 * cpu[tier] / tokens for tier in TIERS)
            client = 1e6 * results["client_cpu_s"] / tokens
            print(f"{results['output_throughput']:8,.0f}  {gateway:8.2f}  {scheduler:9.2f}"
                  f"  {worker:6.2f}  {client:6.2f}")


def simulate(build, model, streams, speed, *flags):
    return weft_json(str(build / "bin" / "weft"), "simulate", "--model", str(model), "--speed", speed,
                     "--max-num-seqs", str(streams), *LENGTHS, *flags)


def poisson(build, model):
    print("\nPoisson arrivals at 70% of what the worker can; ms between tokens, and to the first,"
          "\nmeasured and without any host (weft simulate)\n")
    print("streams  tokens/s  |  ITL p50          p90            p99       added |  TTFT p50")
    for streams, speed in ((32, "1"), (256, "0.5")):
        peak = simulate(build, model, streams, speed, "--max-concurrency", str(streams),
                        "--num-prompts", str(16 * streams))
        load = ["--request-rate", f"{0.7 * peak['request_throughput']:.3f}",
                "--num-prompts", str(max(400, 6 * streams))]
        truth = simulate(build, model, streams, speed, *load)
        with serve(build, model, "--simulated-speed", speed, "--max-num-seqs", str(streams)) as served:
            for seed in ("1", "2", "3"):
                results, _ = served.load(*load, "--seed", seed)
                all_right(results)
                pairs = [f"{results[name]:6.2f} {truth[name]:6.2f}" for name in
                         ("p50_itl_ms", "p90_itl_ms", "p99_itl_ms", "p50_ttft_ms")]
                print(f"{streams:7}  {results['output_throughput']:8,.0f}  | {pairs[0]}"
                      f"  {pairs[1]}  {pairs[2]}  {results['p99_itl_ms'] - truth['p99_itl_ms']:6.2f}"
                      f" | {pairs[3]}")


def overload(build, model):
    """Goodput: answers whose first token comes within a second, and the others within 25 ms each."""
    print("\n32 streams at a time, 32 may wait; goodput (first token in 1 s, then 25 ms each),"
          "\nanswers/s, and ms until a rejection\n")
    print("load        offered/s  goodput/s  rejected  after p50    p99")
    goodput = ["--slo", "ttft:1000,itl:25"]
    with serve(build, model, "--max-num-seqs", "32", "--max-waiting", "32") as served:
        full, _ = served.load("--max-concurrency", "48", "--num-prompts", "600", *goodput)
        all_right(full)
        peak = full["request_goodput"]
        print(f"closed, 48             {peak:10.1f}")
        for part in (0.9, 1.0, 2.0, 4.0):
            rate = part * peak
            results, _ = served.load("--request-rate", f"{rate:.3f}",
                                     "--num-prompts", str(int(15 * rate)), *goodput)
            all_right(results)
            # Of one kind, or none: all_right.
            [rejections] = results["errors"] or [
                {"count": 0, "p50_after_ms": 0, "p99_after_ms": 0}]
            print(f"{part:4.1f} of it  {rate:9.1f}  {results['request_goodput']:9.1f}"
                  f"  {rejections['count']:8}  {rejections['p50_after_ms']:9.2f}"
                  f"  {rejections['p99_after_ms']:5.2f}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder)
        make_model(model)
        throughput(build, model)
        poisson(build, model)
        overload(build, model)
    print(f"\n{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
