"""DeepSeek-R1-Distill-Qwen-1.5B's full shape with random weights, in bf16, on the CPU."""

import httpx
import pytest
import stack
import tiny_model

LIMIT_BYTES = 10 << 30


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_full_r1_shape_serves_within_10_gib(bin_dir, demo_model, tmp_path):
    tiny_model.write_config(tmp_path / "r1-shape", demo_model, tiny_model.R1_1_5B, "bfloat16")
    with stack.Served(bin_dir, tmp_path / "r1-shape", [
            "--dtype", "bfloat16", "--load-format", "dummy", "--max-model-len", "4096"]) as served:
        answer = httpx.post(f"{served.url}/v1/chat/completions", timeout=300, json={
            "messages": [{"role": "user", "content": "What is 17 + 25?"}], "max_tokens": 8,
            "ignore_eos": True}).json()
        assert answer["usage"]["completion_tokens"] == 8
        used = {tier: stack.resident_bytes(pid) for tier, pid in served.pids().items()}
        assert used["worker"] > 3 << 30, "1.5 B parameters of two bytes are not there"
        assert sum(used.values()) < LIMIT_BYTES, used
        served.expect_idle()
