"""A comparison as awkward as they come, for the report's tests."""

import math

A = 'R1 <b>"distill"</b> & co'
B = "通义千问二号数学模型指令微调版本"


def runs(center, spread=0.01, num=5):
    return [center * math.exp(spread * math.sin(7 * i + center)) for i in range(num)]


def series(function, xs, error=0.0):
    points = [{"x": x, "y": function(x)} for x in xs]
    for point in points if error else []:
        point["low"], point["high"] = point["y"] * (1 - error), point["y"] * (1 + error)
    return points


def awkward():
    bound = {"is_upper": True, "value": 103.6, "arithmetic": "3.09 GB / 320 GB/s = 9.65 ms"}
    rounds = range(1, 65)
    concurrency = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    return {
        "date": "2026-11-27T18:00:00Z",
        "a": {"name": A, "model": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "server": "weft 1.0",
              "command": "weft serve 'a & b' --port 1 < /dev/null"},
        "b": {"name": B, "model": "Qwen/Qwen2.5-Math-1.5B"},
        "rows": [
            {"task": "model", "metric": "disk", "quantity": "bytes", "exact": True,
             "a": [3554214621], "b": [3087467144]},
            {"task": "model", "metric": "kv_per_token", "quantity": "bytes", "exact": True,
             "a": [28672], "b": [28672]},
            {"task": "serving", "metric": "start_total", "quantity": "time_ms",
             "a": runs(61234), "b": runs(61300)},
            {"task": "serving", "metric": "rate_single", "detail": "512 → 128",
             "quantity": "tokens_per_s", "a": runs(143), "b": runs(102), "bound_a": bound, "bound_b": bound},
            {"task": "summarize", "metric": "ttft_p50", "detail": "× 8", "quantity": "time_ms",
             "a": [12.1, None, 12.3, 12.2, 12.4], "b": runs(15.3)},
            {"task": "summarize", "metric": "ttft_p99", "quantity": "time_ms",
             "a": [None] * 5, "b": runs(31)},
            {"task": "summarize", "metric": "itl_p50", "quantity": "time_ms",
             "a": runs(2e-7), "b": runs(4e-7)},
            {"task": "multi_turn", "metric": "rate_batched", "detail": "× 256",
             "quantity": "tokens_per_s", "a": runs(3.2e13), "b": runs(1.1e13)},
            {"task": "multi_turn", "metric": "memory_peak", "quantity": "bytes", "a": [], "b": []},
        ],
        "accuracy": [
            {"name": "GSM8K", "attempts": 4, "a": [(i % 5) / 4 for i in range(200)],
             "b": [min(1, (i % 7) / 4) for i in range(200)], "tokens_a": 612.4, "tokens_b": 301},
            {"name": "MATH-500", "a": [1, 0, 1], "b": []},
        ],
        "plots": [
            {"kind": "latency_cdf", "a": series(lambda x: x / 64, rounds),
             "b": [{"x": 40 * i**1.4, "y": i / 64} for i in rounds]},
            {"kind": "throughput",
             "a": series(lambda x: 480 * x / (1 + x / 90), concurrency, 0.06),
             "b": series(lambda x: 460 * x / (1 + x / 60), concurrency, 0.08)},
            {"kind": "itl", "detail": "× 64", "a": series(lambda x: 5 + math.sin(x), range(120)),
             "b": series(lambda x: 6 + 2 * math.cos(x / 9), range(120))},
            {"kind": "accuracy_tokens",
             "a": [{"x": 612.4, "y": 0.5, "low": 0.45, "high": 0.55}],
             "b": [{"x": 301, "y": 0.62, "low": 0.57, "high": 0.67}]},
            {"kind": "latency_cdf", "detail": "× 1", "a": [], "b": []},
        ],
        "environment": [{"name": "gpu", "value": "Tesla T4"},
                        {"name": "cpu", "value": "<2 cores> & \"more\""},
                        {"name": "机房", "value": "北京"}],
        "commands": ["weft bench --base-url http://127.0.0.1:8000 \\\n  --num-prompts 64 > a.json"],
        "warnings": [{"en": "The card was shared.", "zh": "显卡与他人共用。"}],
    }
