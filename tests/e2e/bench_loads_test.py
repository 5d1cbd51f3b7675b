"""The loads of `weft bench`: what arrives when and says what, and what is sampled beside it."""

import contextlib
import json
import os
import pty
import re
import subprocess

import certificates
import httpx
import pytest
import stack
from bench_commands import bench, measure

SMALL = ["--vocab-size", 4000, "--random-input-len", 100, "--random-output-len", 20]


@pytest.fixture(scope="module")
def simulated(bin_dir, demo_model):
    with stack.Served(bin_dir, demo_model, ["--backend", "simulated"]) as served:
        yield served


def test_a_sweep_is_a_run_for_each_and_one_table(bin_dir, simulated, tmp_path):
    results, table = measure(bin_dir, tmp_path, simulated.url, *SMALL, "--num-prompts", 12,
                             "--request-rate", "100,200,inf", "--slo", "ttft=60000ms")
    assert [run["request_rate"] for run in results["runs"]] == [100, 200, "inf"]
    assert [run["latencies_from"] for run in results["runs"]] == ["arrival", "arrival", "sending"]
    assert all(run["completed"] == 12 for run in results["runs"])
    lines = table.splitlines()
    for name, run in zip(("rate 100", "rate 200", "all at once"), results["runs"]):
        [line] = [line for line in lines if line.startswith(name + "  ")]
        assert f"{run['request_throughput']:.2f}" in line
    assert table.count("Serving Benchmark Result") == 3


def test_every_answer_is_right_whatever_its_length(bin_dir, simulated, demo_model, tmp_path):
    results, _ = measure(bin_dir, tmp_path, simulated.url, "--vocab-size", 4000, "--num-prompts",
                         40, "--max-concurrency", 8, "--check-simulated", demo_model,
                         "--random-input-len", "uniform:10-60", "--random-output-len",
                         "lognormal:20,0.6")
    assert (results["completed"], results["failed"]) == (40, 0)
    assert results["random_output_len"] == "lognormal:20,0.6"
    account = results["token_account"]
    for name in ("answers_shorter_than_asked", "answers_longer_than_asked",
                 "prompts_counted_otherwise", "answers_without_usage",
                 "answers_with_more_events_than_tokens"):
        assert account[name] == 0, name
    assert account["answers_with_an_event_per_token"] + \
        account["answers_with_fewer_events_than_tokens"] == 40
    assert 0 < account["streamed_events"] <= results["total_output_tokens"]


def test_only_shared_prefixes_are_in_the_cache(bin_dir, demo_model, tmp_path):
    with stack.Served(bin_dir, demo_model, ["--backend", "simulated"]) as served:
        def hits_after(num_prompt_tokens):
            """When the scheduler's metrics have followed it that far."""
            def counted():
                metrics = served.metrics("scheduler")
                if metrics.sum("weft_scheduler_prompt_tokens_total") == num_prompt_tokens:
                    return [metrics.sum("weft_scheduler_prefix_cache_hit_tokens_total")]
                return None
            found = stack.eventually(counted, 10)
            assert found, served.metric("scheduler", "weft_scheduler_prompt_tokens_total")
            return found[0]

        results, _ = measure(bin_dir, tmp_path, served.url, *SMALL, "--num-prompts", 8,
                             "--max-concurrency", "1,2,4")
        assert [run["max_concurrent_requests"] for run in results["runs"]] == [1, 2, 4]
        assert hits_after(24 * 100) == 0, "no run repeats another's prompts"
        results, _ = measure(bin_dir, tmp_path, served.url, "--vocab-size", 4000, "--num-prompts",
                             10, "--max-concurrency", 1, "--random-input-len", 40,
                             "--random-output-len", 4, "--prefix-len", 160)
        assert results["total_input_tokens"] == 10 * 200
        # The first computes the prefix, the nine others take it.
        assert hits_after(24 * 100 + 10 * 200) == 9 * 160


def test_a_recorded_trace(bin_dir, simulated, tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at": 7.0, "input": 30, "output": 3}\n'
                     '{"at": 7.4, "input": 50, "output": 5, "prefix": "a", "prefix_tokens": 32}\n'
                     '{"at": 7.2, "input": 40, "output": 4, "priority": 2}\n')
    results, _ = measure(bin_dir, tmp_path, simulated.url, "--vocab-size", 4000, "--trace", trace)
    assert (results["total_input_tokens"], results["total_output_tokens"]) == (120, 12)
    assert results["latencies_from"] == "arrival"
    assert results["duration"] > 0.4
    trace.write_text('{"at": 7.0, "input": 30}\n')
    done = bench(bin_dir, simulated.url, "--trace", trace)
    assert done.returncode == 2
    assert f"--trace {trace} line 1: output" in done.stderr


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_a_dataset(bin_dir, simulated, tmp_path, endpoint):
    questions = ["How many apples are left?", "What is 3 + 4, \"exactly\"?"]
    data = tmp_path / "questions.jsonl"
    data.write_text("".join(json.dumps({"question": text, "answer": "7"}) + "\n"
                            for text in questions))
    results, _ = measure(bin_dir, tmp_path, simulated.url, "--endpoint", endpoint,
                         "--dataset-path", data, "--random-output-len", 6)
    assert (results["completed"], results["total_output_tokens"]) == (2, 12)
    expected = 0
    for text in questions:
        body = {"prompt": text} if endpoint == "completions" else {
            "messages": [{"role": "user", "content": text}]}
        path = "completions" if endpoint == "completions" else "chat/completions"
        answer = httpx.post(f"{simulated.url}/v1/{path}", timeout=60, json={
            "model": simulated.served_name, "max_tokens": 1, **body}).json()
        expected += answer["usage"]["prompt_tokens"]
    assert results["total_input_tokens"] == expected


def test_conversations_grow_with_their_answers(bin_dir, simulated, tmp_path):
    results, _ = measure(bin_dir, tmp_path, simulated.url, "--endpoint", "chat",
                         "--conversation-len", 500, "--num-prompts", 3, "--random-input-len", 20,
                         "--random-output-len", 60)
    # A turn adds 80 tokens and a few of the template; what was said comes again in each.
    assert results["num_prompts"] == 3
    assert results["completed"] >= 3 * 3
    assert results["completed"] * 60 == results["total_output_tokens"]
    assert results["total_input_tokens"] > results["completed"] * 100
    simulated.expect_rest()


def test_the_servers_metrics_are_sampled_beside_the_load(bin_dir, simulated, tmp_path):
    url = f"http://127.0.0.1:{simulated.admin_ports['scheduler']}/metrics"
    results, table = measure(bin_dir, tmp_path, simulated.url, "--vocab-size", 4000,
                             "--random-input-len", 64, "--random-output-len", 200,
                             "--num-prompts", 2000, "--max-concurrency", 16, "--metrics-url", url,
                             "--threads", 1)
    metrics = results["server_metrics"]
    assert metrics["failed_samples"] == 0
    running = metrics["requests_running"]
    assert len(running["values"]) == len(metrics["times_s"]) >= 2
    assert 0 <= running["min"] <= running["mean"] <= running["max"] <= 16
    assert running["max"] > 0
    assert metrics["kv_cache_usage_percent"]["max"] <= 100
    assert metrics["preemptions"]["increase"] == 0
    assert "Requests running:" in table


def test_metrics_that_do_not_answer_are_told_and_no_more(bin_dir, simulated, tmp_path):
    results, table = measure(bin_dir, tmp_path, simulated.url, *SMALL, "--num-prompts", 2,
                             "--metrics-url", "http://127.0.0.1:1/metrics")
    assert results["server_metrics"]["failed_samples"] >= 1
    assert "samples of server metrics failed, such as: http://127.0.0.1:1/metrics: " in table


# ---- progress ----

def test_progress_is_one_line_on_a_terminal_and_none_in_a_pipe(bin_dir, simulated):
    load = [*SMALL, "--num-prompts", 30, "--request-rate", 15, "--seed", 7]
    assert bench(bin_dir, simulated.url, *load).stderr == ""
    ours, its = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen([bin_dir / "weft", "bench", "--base-url", simulated.url,
                                    *map(str, load)], stdout=subprocess.DEVNULL, stderr=its)
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: it has closed its end
            while part := terminal.read(4096):
                shown += part
        assert process.wait(60) == 0
    assert re.search(rb"\r\d+ s, \d+ of 30 requests over, \d+ open, \d+ events/s\x1b\[K", shown)
    assert b"\n" not in shown
    assert shown.endswith(b"\r\x1b[K"), "wiped in the end"


# ---- https ----

@pytest.fixture(scope="module")
def encrypted(bin_dir, demo_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = certificates.Authority(folder / "authority")
    authority.issue(folder / "server", ["DNS:localhost"])
    flags = ["--backend", "simulated", "--tls-cert", str(folder / "server" / "tls.crt"),
             "--tls-key", str(folder / "server" / "tls.key")]
    with stack.Served(bin_dir, demo_model, flags) as served:
        yield served, authority, folder


def test_https_loses_nothing(bin_dir, encrypted, demo_model, tmp_path):
    served, authority, _ = encrypted
    results, _ = measure(bin_dir, tmp_path, f"https://localhost:{served.port}", "--ca-file",
                         authority.cert, "--vocab-size", 4000, "--num-prompts", 60,
                         "--max-concurrency", 12, "--threads", 2, "--num-warmups", 3,
                         "--random-input-len", 1500, "--random-output-len", 100,
                         "--check-simulated", demo_model)
    assert (results["completed"], results["failed"]) == (60, 0)
    assert results["total_output_tokens"] == 60 * 100
    assert results["model_id"] == served.served_name
    served.expect_rest()


def test_a_certificate_that_is_not_trusted_is_a_failure(bin_dir, encrypted, tmp_path):
    served, authority, folder = encrypted
    url = f"https://localhost:{served.port}"
    other = certificates.Authority(folder / "other")
    done = bench(bin_dir, url, "--ca-file", other.cert)
    assert done.returncode == 1
    assert "certificate" in done.stderr
    results, _ = measure(bin_dir, tmp_path, url, "--ca-file", other.cert, "--model", "m",
                         "--num-prompts", 2, code=1)
    [error] = results["errors"]
    assert (error["kind"], error["count"]) == ("connect", 2)
    assert "certificate verify failed" in error["example"]
    # The name must be one of the certificate's.
    results, _ = measure(bin_dir, tmp_path, f"https://127.0.0.1:{served.port}", "--ca-file",
                         authority.cert, "--model", "m", "--num-prompts", 1, code=1)
    assert "certificate verify failed" in results["errors"][0]["example"]
