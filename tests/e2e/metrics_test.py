"""The three admin ports."""

import time

import httpx
import pytest
import stack

EXPECTED = {
    "gateway": ["weft_gateway_http_requests_total", "weft_gateway_http_request_duration_seconds",
                "weft_gateway_time_to_first_token_seconds",
                "weft_gateway_inter_token_latency_seconds", "weft_gateway_requests_in_flight",
                "weft_gateway_client_disconnects_total", "weft_gateway_draining",
                "weft_gateway_route_decisions_total", "weft_gateway_upstream_rpc_total"],
    "scheduler": ["weft_scheduler_requests_running", "weft_scheduler_requests_waiting",
                  "weft_scheduler_kv_cache_usage_ratio", "weft_scheduler_kv_blocks",
                  "weft_scheduler_prefix_cache_queried_tokens_total",
                  "weft_scheduler_prefix_cache_hit_tokens_total",
                  "weft_scheduler_preemptions_total", "weft_scheduler_prompt_tokens_total",
                  "weft_scheduler_generation_tokens_total", "weft_scheduler_requests_total",
                  "weft_scheduler_request_queue_duration_seconds",
                  "weft_scheduler_request_e2e_duration_seconds",
                  "weft_scheduler_time_to_first_token_seconds", "weft_scheduler_step_tokens",
                  "weft_scheduler_plan_duration_seconds", "weft_scheduler_workers",
                  "weft_scheduler_worker_heartbeat_age_seconds", "weft_scheduler_leader",
                  "weft_scheduler_cache_config_info"],
    "worker": ["weft_worker_step_duration_seconds", "weft_worker_idle_seconds_total",
               "weft_worker_batch_size", "weft_worker_errors_total",
               "weft_worker_model_load_seconds", "weft_worker_ready"],
}


@pytest.mark.parametrize("tier", stack.TIERS)
def test_the_exposition_is_valid_and_complete(served, client, tier):
    client.completions.create(model=served.served_name, prompt="a", max_tokens=4)
    headers, text = served.exposition(tier)
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    samples, types = stack.parse_exposition(text)
    for name in types:
        assert name.startswith(("weft_", "process_")), name
        assert (types[name] == "counter") == name.endswith("_total"), name
    for name in [*EXPECTED[tier], "weft_build_info", "process_resident_memory_bytes",
                 "process_open_fds"]:
        assert name in types, f"no {name}"
    for (name, pairs), value in samples.items():
        labels = dict(pairs)
        assert "id" not in labels and "request_id" not in labels
        if name.endswith("_bucket") and labels["le"] == "+Inf":
            rest = tuple(pair for pair in pairs if pair[0] != "le")
            assert samples[(name.removesuffix("_bucket") + "_count", rest)] == value


@pytest.mark.parametrize("tier", stack.TIERS)
def test_health_and_readiness(served, tier):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/nothing", 404)):
        assert stack.get(served.admin_ports[tier], path)[0] == status


def grown(after, before):
    return {name: after[name] - before[name] for name in after}


def test_requests_are_counted_once_in_each_tier(served, client):
    def counts():
        return {
            "http": served.metric("gateway", "weft_gateway_http_requests_total",
                                  route="/v1/completions", code="200") or 0,
            "finished": served.metric("scheduler", "weft_scheduler_requests_total",
                                      finish_reason="length") or 0,
            "tokens": served.metric("scheduler", "weft_scheduler_generation_tokens_total") or 0,
        }

    time.sleep(2 * stack.GAUGE_LAG_S)  # what came before is counted
    before = counts()
    client.completions.create(model=served.served_name, prompt="a", max_tokens=5,
                              temperature=0.9, n=2, extra_body={"ignore_eos": True})
    expected = {"http": 1, "finished": 2, "tokens": 10}
    difference = stack.eventually(lambda: grown(counts(), before) == expected, 2)
    assert difference, grown(counts(), before)


def test_the_pool_is_whole_at_rest(served):
    capacity = [sum(served.blocks(state) for state in ("used", "cached", "free"))]
    httpx.post(f"{served.url}/v1/completions", json={"prompt": "b " * 100, "max_tokens": 4})
    served.expect_rest()
    capacity.append(sum(served.blocks(state) for state in ("used", "cached", "free")))
    assert capacity[0] == capacity[1] > 0
