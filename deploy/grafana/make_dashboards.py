#!/usr/bin/env python3
"""Writes the dashboards beside it.

  deploy/grafana/make_dashboards.py

A dashboard is a list of rows, a row a list of panels, a panel what it shows: title, what it
tells, unit, queries. All that Grafana wants besides is the same everywhere and said once, below.
"""

import dataclasses
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent

TTFT = "weft_gateway_time_to_first_token_seconds"
ITL = "weft_gateway_inter_token_latency_seconds"

# What deploy/prometheus/alerts.yaml promises.
AVAILABILITY_BUDGET = 0.001
TTFT_BUDGET = 0.01
TTFT_SECONDS = "1"  # an edge of its buckets

# What the variables choose. The gateway's HTTP and every process's own figures are of no model.
OF_MODEL = 'namespace=~"$namespace", model=~"$model"'
OF_NAMESPACE = 'namespace=~"$namespace"'
GRID_COLUMNS = 24
TOKENS_PER_SECOND = "si:tok/s"


@dataclasses.dataclass
class Query:
    expr: str
    legend: str = ""


@dataclasses.dataclass
class Panel:
    title: str
    description: str
    unit: str
    queries: list
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    maximum: float | None = None
    thresholds: dict = dataclasses.field(default_factory=dict)  # colour by the value it begins at
    no_value: str = ""  # said instead, where there may be nothing to measure
    units: dict = dataclasses.field(default_factory=dict)  # of a table's columns


# ---- PromQL that recurs ----

def rate(metric, more="", by="model", of=OF_MODEL, window="$__rate_interval"):
    selector = ", ".join(filter(None, [of, more]))
    return f"sum by ({by}) (rate({metric}{{{selector}}}[{window}]))"


def total(metric, more="", by="model", of=OF_MODEL):
    selector = ", ".join(filter(None, [of, more]))
    return f"sum by ({by}) ({metric}{{{selector}}})"


def buckets(metric, by="model", of=OF_MODEL):
    return rate(f"{metric}_bucket", by=f"le, {by}" if by else "le", of=of)


def quantile(number, metric, by="model", of=OF_MODEL):
    return f"histogram_quantile({number}, {buckets(metric, by, of)})"


def quantiles(metric, by="model", of=OF_MODEL, numbers=(0.5, 0.99)):
    name = f"{{{{{by}}}}} " if by else ""
    return [Query(quantile(number, metric, by, of), f"{name}p{round(number * 100)}")
            for number in numbers]


def mean(metric, by="model"):
    return f"{rate(metric + '_sum', by=by)} / {rate(metric + '_count', by=by)}"


def heatmap(title, description, unit, metric, **options):
    return Panel(title, description, unit, [Query(buckets(metric, by=""), "{{le}}")],
                 kind="heatmap", **options)


def availability_errors(window):
    """As alerts.yaml counts them: what failed once accepted, and what was not for want of a
    place or a worker."""
    def ended(outcome):
        return rate("weft_gateway_requests_ended_total", outcome, window=window)
    turned_away = rate("weft_gateway_rejected_total", 'reason=~"unavailable|error"', window=window)
    bad = f"""({ended('outcome="failed"')} + {turned_away})"""
    return f"""{bad} / ({ended('outcome!="rejected"')} + {turned_away})"""


def ttft_good(window):
    soon = rate(f"{TTFT}_bucket", f'le="{TTFT_SECONDS}"', window=window)
    return f"{soon} / {rate(TTFT + '_count', window=window)}"


def of_tier(expr, tier):
    """process_* knows neither tier nor model: the process's weft_build_info does."""
    of = OF_NAMESPACE if tier == "gateway" else OF_MODEL
    return (f"{expr} * on (namespace, instance) group_left (tier, model) "
            f'weft_build_info{{{of}, tier="{tier}"}}')


def http_errors(hundreds):
    metric = "weft_gateway_http_requests_total"
    bad = rate(metric, f'code=~"{hundreds}.."', by="", of=OF_NAMESPACE)
    return f"{bad} / {rate(metric, by='', of=OF_NAMESPACE)} or vector(0)"


def processes(tier):
    legend = "{{instance}}" if tier == "gateway" else "{{model}} {{instance}}"
    return ("Processes", [
        Panel("CPU", "Cores that each process keeps busy.", "short",
              [Query(of_tier(f"rate(process_cpu_seconds_total{{{OF_NAMESPACE}}}[$__rate_interval])",
                             tier), legend)], width=6),
        Panel("Memory", "Resident memory of each process.", "bytes",
              [Query(of_tier(f"process_resident_memory_bytes{{{OF_NAMESPACE}}}", tier), legend)],
              width=6),
        Panel("Open files", "Descriptors of each process: connections, mostly. Growth that does "
              "not end is a leak.", "short",
              [Query(of_tier(f"process_open_fds{{{OF_NAMESPACE}}}", tier), legend)], width=6),
        Panel("Uptime", "Since each process began: a drop is a restart.", "s",
              [Query(of_tier(f"(time() - process_start_time_seconds{{{OF_NAMESPACE}}})", tier),
                     legend)], width=6),
    ])


def gpu(own, dcgm, scale=""):
    """DCGM's figure of the workers' GPUs where its exporter runs, else the worker's own."""
    mine = f"{own}{{{OF_MODEL}}}"
    return (f"max by (UUID) ({dcgm}{scale} and on (UUID) {mine}) or on (UUID) "
            f"max by (UUID) ({mine})")


# ---- the dashboards ----

KV_USAGE = f"max by (model) (weft_scheduler_kv_cache_usage_ratio{{{OF_MODEL}}})"
BURN = {0: "green", 1: "yellow", 6: "orange", 14.4: "red"}

OVERVIEW = [
    ("Service levels", [
        Panel("Availability", "Requests that were neither refused for want of room or workers nor "
              "failed, over the time shown. Objective: 99.9 %.", "percentunit",
              [Query(f"1 - {availability_errors('$__range')}", "{{model}}")], kind="stat", width=4,
              height=5, thresholds={0: "red", 0.999: "green"}),
        Panel("First token within 1 s", "Requests of which the first token came within a second of "
              "their arrival, over the time shown. Objective: 99 %.", "percentunit",
              [Query(ttft_good("$__range"), "{{model}}")], kind="stat", width=4, height=5,
              thresholds={0: "red", 0.99: "green"}),
        Panel("Requests", "Requests accepted.", "reqps",
              [Query(rate("weft_gateway_requests_accepted_total"), "{{model}}")], kind="stat",
              width=4, height=5),
        Panel("Output tokens", "Tokens handed to gateways.", TOKENS_PER_SECOND,
              [Query(rate("weft_scheduler_generation_tokens_total"), "{{model}}")], kind="stat",
              width=4, height=5),
        Panel("Workers ready", "Workers attached to the leading scheduler.", "short",
              [Query(total("weft_scheduler_workers", 'state="ready"'), "{{model}}")], kind="stat",
              width=4, height=5, thresholds={0: "red", 1: "green"}),
        Panel("Leaders", "Schedulers that lead: one for each model, otherwise nobody, or two, "
              "decide.", "short", [Query(total("weft_scheduler_leader"), "{{model}}")],
              kind="stat", width=4, height=5, thresholds={0: "red", 1: "green", 2: "red"}),
        Panel("Availability: error budget burn", "How many times faster than the objective allows "
              "the budget of failed requests is used: at 1 it lasts a month, at 14.4 two days.",
              "short", [Query(f"({availability_errors(w)}) / {AVAILABILITY_BUDGET}",
                              f"{{{{model}}}} {w}") for w in ("5m", "1h", "6h")],
              width=12, thresholds=BURN),
        Panel("First token: error budget burn", "The same of first tokens later than a second.",
              "short", [Query(f"(1 - {ttft_good(w)}) / {TTFT_BUDGET}", f"{{{{model}}}} {w}")
                        for w in ("5m", "1h", "6h")], width=12, thresholds=BURN),
    ]),
    ("What clients see", [
        Panel("Time to first token", "From a request's arrival at the gateway to its first token.",
              "s", quantiles(TTFT)),
        Panel("Between tokens", "Between the tokens of a choice, as the gateway receives them.",
              "s", quantiles(ITL)),
        Panel("Ended requests", "Accepted requests by how they ended; cancelled: the client left.",
              "reqps", [Query(rate("weft_gateway_requests_ended_total", by="model, outcome"),
                              "{{model}} {{outcome}}")], stacked=True),
        Panel("Refused requests", "Requests refused before they ran. quota and invalid are the "
              "client's, unavailable and error ours.", "reqps",
              [Query(rate("weft_gateway_rejected_total", by="model, reason"),
                     "{{model}} {{reason}}")], stacked=True),
        Panel("Requests in flight", "Accepted and not yet ended.", "short",
              [Query(total("weft_gateway_requests_in_flight"), "{{model}}")]),
        Panel("HTTP errors", "Answers with a status of 4xx or 5xx, of all HTTP answers. 499: the "
              "client left.", "percentunit",
              [Query(http_errors(4), "4xx"), Query(http_errors(5), "5xx")]),
    ]),
    ("What the machines do", [
        Panel("Tokens", "Prompt tokens computed and taken from the prefix cache, and output "
              "tokens.", TOKENS_PER_SECOND,
              [Query(rate("weft_scheduler_prompt_tokens_total", by="model, source"),
                     "{{model}} prompt, {{source}}"),
               Query(rate("weft_scheduler_generation_tokens_total"), "{{model}} output")]),
        Panel("Queue", "Sequences that run and that wait.", "short",
              [Query(total("weft_scheduler_requests_running"), "{{model}} running"),
               Query(total("weft_scheduler_requests_waiting"), "{{model}} waiting")]),
        Panel("KV cache in use", "Part of the KV blocks that sequences hold. Near 1 the next "
              "growth preempts somebody.", "percentunit",
              [Query(KV_USAGE, "{{model}}")], maximum=1),
        Panel("Workers busy", "Part of the time in which a worker had a step at hand.",
              "percentunit",
              [Query(f"1 - rate(weft_worker_idle_seconds_total{{{OF_MODEL}}}[$__rate_interval])",
                     "{{model}} {{instance}}")], maximum=1),
        Panel("Losses", "Workers lost, sequences that moved on from them, sequences preempted.",
              "cps", [Query(rate("weft_scheduler_workers_lost_total"), "{{model}} workers lost"),
                      Query(rate("weft_scheduler_requeued_total"), "{{model}} sequences moved"),
                      Query(rate("weft_scheduler_preemptions_total"), "{{model}} preempted")]),
        Panel("Processes", "Processes whose metrics arrive, by tier and version.", "short",
              [Query(f"count by (tier, version) (weft_build_info{{{OF_NAMESPACE}}})",
                     "{{tier}} {{version}}")]),
    ]),
]

GATEWAY = [
    ("Requests", [
        Panel("HTTP requests", "By route and status; 499: the client left.", "reqps",
              [Query(rate("weft_gateway_http_requests_total", by="route, code", of=OF_NAMESPACE),
                     "{{route}} {{code}}")], stacked=True),
        Panel("HTTP durations", "From a request's first byte to its answer's last, of a stream: "
              "its whole length.", "s",
              quantiles("weft_gateway_http_request_duration_seconds", by="route",
                        of=OF_NAMESPACE)),
        Panel("In flight", "Requests accepted and not yet ended, by gateway.", "short",
              [Query(total("weft_gateway_requests_in_flight", by="model, instance"),
                     "{{model}} {{instance}}")], stacked=True),
        Panel("Accepted and ended", "Where accepted stays above the sum of the others, requests "
              "pile up.", "reqps",
              [Query(rate("weft_gateway_requests_accepted_total"), "{{model}} accepted"),
               Query(rate("weft_gateway_requests_ended_total", by="model, outcome"),
                     "{{model}} {{outcome}}")]),
        Panel("Refused", "Before they ran, by reason.", "reqps",
              [Query(rate("weft_gateway_rejected_total", by="model, reason"),
                     "{{model}} {{reason}}")], stacked=True),
        Panel("Routing", "What decided about a request's group: the only one of its model, the "
              "load of several, or the beginning of its prompt.", "reqps",
              [Query(rate("weft_gateway_route_decisions_total", by="model, reason"),
                     "{{model}} {{reason}}")], stacked=True),
    ]),
    ("Streams", [
        Panel("Time to first token", "From arrival to the first token.", "s", quantiles(TTFT)),
        heatmap("First tokens", "How many requests had to wait how long for their first token.",
                "s", TTFT),
        Panel("Between tokens", "Between the tokens of a choice.", "s", quantiles(ITL)),
        Panel("Clients that left", "Requests given up by their clients before the end.", "reqps",
              [Query(rate("weft_gateway_client_disconnects_total"), "{{model}}")]),
        Panel("Waiting for clients", "Answers that waited at any moment for room in their "
              "clients' sockets.", "short",
              [Query(rate("weft_gateway_http_write_wait_seconds_total", by="instance",
                          of=OF_NAMESPACE), "{{instance}}")]),
        Panel("Slow clients cut", "Connections cut off by --stall-timeout.", "cps",
              [Query(rate("weft_gateway_http_slow_clients_cut_total", by="instance",
                          of=OF_NAMESPACE), "{{instance}}")]),
    ]),
    ("Schedulers", [
        Panel("Streams to schedulers that ended", "By gRPC status. A rolling update ends each "
              "once; more is a network or a scheduler in trouble.", "cps",
              [Query(rate("weft_gateway_upstream_rpc_total", by="model, grpc_code"),
                     "{{model}} {{grpc_code}}")], width=12),
        Panel("Draining", "1: the gateway takes no new requests.", "short",
              [Query(f"weft_gateway_draining{{{OF_NAMESPACE}}}", "{{instance}}")], width=12,
              maximum=1),
    ]),
    ("Keys and TLS", [
        Panel("Keys refused", "Requests that brought no API key or a wrong one.", "reqps",
              [Query(rate("weft_gateway_auth_failures_total", by="reason", of=OF_NAMESPACE),
                     "{{reason}}")]),
        Panel("Limits reached", "Requests refused by a limit of their key, by tenant.", "reqps",
              [Query(rate("weft_gateway_limited_total", by="tenant, limit", of=OF_NAMESPACE),
                     "{{tenant}} {{limit}}")]),
        Panel("TLS handshakes failed", "Connections that did not come to speak TLS.", "cps",
              [Query(rate("weft_gateway_tls_handshakes_failed_total", by="instance",
                          of=OF_NAMESPACE), "{{instance}}")]),
        Panel("API keys", "Keys that are let in; 0: nobody is asked for one.", "short",
              [Query(f"max by (instance) (weft_gateway_api_keys{{{OF_NAMESPACE}}})",
                     "{{instance}}")], kind="stat", height=5),
        Panel("Certificate expires in", "Of the certificate that clients see.", "s",
              [Query("min by (instance) (weft_gateway_tls_certificate_expiry_seconds"
                     f"{{{OF_NAMESPACE}}}) - time()", "{{instance}}")],
              kind="stat", height=5, no_value="no TLS",
              thresholds={0: "red", 7 * 86400: "yellow", 21 * 86400: "green"}),
        Panel("Files read again", "Changes of key and certificate files in the last hour. error: "
              "what was before stays.", "short",
              [Query(f"sum by (result) (increase(weft_gateway_{what}_reloads_total"
                     f"{{{OF_NAMESPACE}}}[1h]))", f"{what} {{{{result}}}}")
               for what in ("api_key", "tls")], kind="stat", height=5),
    ]),
    processes("gateway"),
]

SCHEDULER = [
    ("Queue", [
        Panel("Running and waiting", "Sequences: one for each choice of a request.", "short",
              [Query(total("weft_scheduler_requests_running"), "{{model}} running"),
               Query(total("weft_scheduler_requests_waiting"), "{{model}} waiting")]),
        Panel("What they wait for", "capacity: blocks or rows; prefix: another computes it; owed: "
              "steps in flight; worker: none is attached; trial: alone, after a loss.", "short",
              [Query(total("weft_scheduler_requests_waiting", by="model, reason"),
                     "{{model}} {{reason}}")], stacked=True),
        Panel("Time in the queue", "From receipt to the first step.", "s",
              quantiles("weft_scheduler_request_queue_duration_seconds")),
        Panel("Prefill", "From the first step to the first token.", "s",
              quantiles("weft_scheduler_request_prefill_duration_seconds")),
        Panel("Decode", "From the first token to the end.", "s",
              quantiles("weft_scheduler_request_decode_duration_seconds")),
        Panel("Whole sequences", "From receipt to the end.", "s",
              quantiles("weft_scheduler_request_e2e_duration_seconds")),
        Panel("Time to first token", "As the scheduler sees it. What the gateway's has more is "
              "tokenizing and the way.", "s",
              quantiles("weft_scheduler_time_to_first_token_seconds")),
        Panel("Between tokens", "As the scheduler hands them on.", "s",
              quantiles("weft_scheduler_inter_token_latency_seconds")),
        Panel("How sequences end", "stop and length are ordinary.", "reqps",
              [Query(rate("weft_scheduler_requests_total", by="model, finish_reason"),
                     "{{model}} {{finish_reason}}")], stacked=True),
        Panel("Refused", "Sequences never accepted, by why.", "reqps",
              [Query(rate("weft_scheduler_rejected_total", by="model, reason"),
                     "{{model}} {{reason}}")], stacked=True, width=12),
        Panel("Preempted and moved", "Preempted: blocks were taken away, to be computed again. "
              "Moved: from a worker that was lost or drained.", "cps",
              [Query(rate("weft_scheduler_preemptions_total"), "{{model}} preempted"),
               Query(rate("weft_scheduler_requeued_total"), "{{model}} moved")], width=12),
    ]),
    ("KV cache", [
        Panel("Blocks", "Of all workers: used by sequences, cached for prefixes to come, free.",
              "short", [Query(total("weft_scheduler_kv_blocks", by="state"), "{{state}}")],
              stacked=True),
        Panel("In use", "Part of the blocks that sequences hold.", "percentunit",
              [Query(KV_USAGE, "{{model}}")], maximum=1, thresholds={0: "green", 0.95: "red"}),
        Panel("Prefix cache hits", "Part of the prompt tokens looked up that were found.",
              "percentunit",
              [Query(f"{rate('weft_scheduler_prefix_cache_hit_tokens_total')} / "
                     f"{rate('weft_scheduler_prefix_cache_queried_tokens_total')}", "{{model}}")],
              maximum=1),
        Panel("Prompt tokens", "Computed, or from the prefix cache.", TOKENS_PER_SECOND,
              [Query(rate("weft_scheduler_prompt_tokens_total", by="model, source"),
                     "{{model}} {{source}}")], stacked=True),
        Panel("Blocks in all", "Of the workers attached now, by the tokens that a block holds.",
              "short", [Query("sum by (model) (weft_scheduler_kv_blocks"
                              f"{{{OF_MODEL}}}) * on (model) group_left (block_size) "
                              "group by (model, block_size) "
                              f"(weft_scheduler_cache_config_info{{{OF_MODEL}}} == 1)",
                              "{{model}}, of {{block_size}} tokens")], kind="stat"),
    ]),
    ("Steps", [
        Panel("Tokens of a step", "Prompts and decodes together.", "short",
              quantiles("weft_scheduler_step_tokens")),
        Panel("Planning", "Time that the scheduler takes to plan one step; hidden behind the step "
              "before where two are in flight.", "s",
              quantiles("weft_scheduler_plan_duration_seconds")),
        Panel("Output tokens", "Handed to gateways.", TOKENS_PER_SECOND,
              [Query(rate("weft_scheduler_generation_tokens_total"), "{{model}}")]),
        heatmap("Prompt lengths", "Tokens of the prompts of sequences that have ended.", "short",
                "weft_scheduler_request_prompt_tokens", width=12),
        heatmap("Answer lengths", "Output tokens of sequences that have ended.", "short",
                "weft_scheduler_request_generation_tokens", width=12),
    ]),
    ("Peers", [
        Panel("Workers", "Attached to the leader, by state.", "short",
              [Query(total("weft_scheduler_workers", by="model, state"), "{{model}} {{state}}")],
              width=6),
        Panel("Silence", "Since the worker silent for longest was heard. They beat every half "
              "second; 2.7 s of silence is a loss.", "s",
              [Query(f"max by (model) (weft_scheduler_worker_heartbeat_age_seconds{{{OF_MODEL}}})",
                     "{{model}}")], width=6, thresholds={0: "green", 1.5: "red"}),
        Panel("Workers lost", "Whose stream broke, that fell silent or failed.", "cps",
              [Query(rate("weft_scheduler_workers_lost_total"), "{{model}}")], width=6),
        Panel("Leader", "1: this scheduler leads, 0: it stands by.", "short",
              [Query(f"weft_scheduler_leader{{{OF_MODEL}}}", "{{model}} {{instance}}")], width=6),
        Panel("Gateways", "Connected.", "short",
              [Query(total("weft_scheduler_sessions"), "{{model}}")], width=12),
        Panel("Gateways cut off", "Because they read too slowly.", "cps",
              [Query(rate("weft_scheduler_sessions_cut_total"), "{{model}}")], width=12),
    ]),
    processes("scheduler"),
]

NO_GPU, NO_DCGM = "no GPU", "no GPU, or no DCGM"
STEP = "weft_worker_step_duration_seconds"
FORWARD = rate(f"{STEP}_bucket", 'phase="forward"', by="le, model")
READY_WORKERS = total("weft_scheduler_workers", 'state="ready"')
WORKER = [
    ("Steps", [
        Panel("Busy", "Part of the time in which the worker had a step at hand.", "percentunit",
              [Query(f"1 - rate(weft_worker_idle_seconds_total{{{OF_MODEL}}}[$__rate_interval])",
                     "{{model}} {{instance}}")], maximum=1),
        Panel("Forward pass", "Of a step.", "s",
              [Query(f"histogram_quantile({n}, {FORWARD})", f"{{{{model}}}} p{round(n * 100)}")
               for n in (0.5, 0.99)]),
        Panel("Phases of a step", "Mean time: in the queue behind the step before, in the forward "
              "pass, sampling.", "s",
              [Query(mean(STEP, by="model, phase"), "{{model}} {{phase}}")]),
        Panel("Rows of a step", "Sequences in a step.", "short",
              quantiles("weft_worker_batch_size")),
        Panel("Tokens of a step", "Prompt and decode tokens in a step.", "short",
              quantiles("weft_worker_step_tokens")),
        Panel("Steps", "Replayed from a captured CUDA graph, or launched kernel by kernel.", "ops",
              [Query(rate("weft_worker_cuda_graph_steps_total", by="model, mode"),
                     "{{model}} {{mode}}")], stacked=True),
    ]),
    ("State", [
        Panel("Attached", "1: attached to a scheduler.", "short",
              [Query(f"weft_worker_ready{{{OF_MODEL}}}", "{{model}} {{instance}}")], width=6,
              maximum=1),
        Panel("Errors", "step: the device failed; nan: a row's logits were not finite; contract: "
              "the scheduler sent what cannot be run.", "cps",
              [Query(rate("weft_worker_errors_total", by="model, kind"), "{{model}} {{kind}}")],
              width=6),
        Panel("Memory by purpose", "What the worker has planned: weights, KV blocks, scratch of a "
              "step, of the memory there is.", "bytes",
              [Query(f"weft_worker_gpu_memory_bytes{{{OF_MODEL}}}",
                     "{{model}} {{instance}} {{kind}}")], width=6),
        Panel("Load time", "That loading the model took.", "s",
              [Query(f"weft_worker_model_load_seconds{{{OF_MODEL}}}", "{{model}} {{instance}}")],
              kind="stat", width=6),
    ]),
    ("GPU", [
        Panel("GPU memory in use", "By whomever.", "bytes",
              [Query(gpu("weft_worker_gpu_memory_used_bytes", "DCGM_FI_DEV_FB_USED", " * 1048576"),
                     "{{UUID}}"),
               Query(f"max by (UUID) (weft_worker_gpu_memory_total_bytes{{{OF_MODEL}}})",
                     "{{UUID}} total")], width=6, no_value=NO_GPU),
        Panel("GPU power", "Drawn.", "watt",
              [Query(gpu("weft_worker_gpu_power_watts", "DCGM_FI_DEV_POWER_USAGE"), "{{UUID}}")],
              width=6, no_value=NO_GPU),
        Panel("GPU temperature", "Of the chip. From about 87 °C on it slows itself down.",
              "celsius", [Query(gpu("weft_worker_gpu_temperature_celsius", "DCGM_FI_DEV_GPU_TEMP"),
                                "{{UUID}}")], width=6, thresholds={0: "green", 87: "red"},
              no_value=NO_GPU),
        Panel("GPU utilization", "Part of the time in which some kernel ran: not how much of the "
              "GPU it used.", "percentunit",
              [Query(gpu("weft_worker_gpu_utilization_ratio", "DCGM_FI_DEV_GPU_UTIL", " / 100"),
                     "{{UUID}}")], width=6, maximum=1, no_value=NO_GPU),
        Panel("Tensor cores", "Part of the time in which they were active. From DCGM.",
              "percentunit",
              [Query("max by (UUID) (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE and on (UUID) "
                     f"weft_worker_gpu_memory_total_bytes{{{OF_MODEL}}})", "{{UUID}}")], maximum=1,
              no_value=NO_DCGM),
        Panel("Memory bandwidth", "Part of the time in which the memory's interface was active: "
              "what decoding is bound by. From DCGM.", "percentunit",
              [Query("max by (UUID) (DCGM_FI_PROF_DRAM_ACTIVE and on (UUID) "
                     f"weft_worker_gpu_memory_total_bytes{{{OF_MODEL}}})", "{{UUID}}")], maximum=1,
              no_value=NO_DCGM),
        Panel("XID", "Number of the driver's last error; 0: none. From DCGM.", "short",
              [Query("max by (UUID) (DCGM_FI_DEV_XID_ERRORS and on (UUID) "
                     f"weft_worker_gpu_memory_total_bytes{{{OF_MODEL}}})", "{{UUID}}")],
              no_value=NO_DCGM),
    ]),
    processes("worker"),
]

MODELS = [
    ("Now", [
        Panel("Models", "Side by side, over the last minutes.", "short",
              [Query(rate("weft_gateway_requests_accepted_total"), "Requests"),
               Query(f"1 - {availability_errors('$__rate_interval')}", "Availability"),
               Query(quantile(0.5, TTFT), "First token p50"),
               Query(quantile(0.99, TTFT), "First token p99"),
               Query(quantile(0.99, ITL), "Between tokens p99"),
               Query(rate("weft_scheduler_generation_tokens_total"), "Output tokens"),
               Query(total("weft_scheduler_requests_running"), "Running"),
               Query(total("weft_scheduler_requests_waiting"), "Waiting"),
               Query(KV_USAGE, "KV in use"),
               Query(total("weft_scheduler_workers", 'state="ready"'), "Workers")],
              kind="table", width=24, height=6,
              units={"Requests": "reqps", "Availability": "percentunit", "First token p50": "s",
                     "First token p99": "s", "Between tokens p99": "s",
                     "Output tokens": TOKENS_PER_SECOND, "KV in use": "percentunit"}),
    ]),
    ("Latency", [
        Panel("First token, p99", "From arrival to the first token.", "s",
              [Query(quantile(0.99, TTFT), "{{model}}")]),
        Panel("Between tokens, p99", "Between the tokens of a choice.", "s",
              [Query(quantile(0.99, ITL), "{{model}}")]),
        Panel("Time in the queue, p99", "From receipt by the scheduler to the first step.", "s",
              [Query(quantile(0.99, "weft_scheduler_request_queue_duration_seconds"),
                     "{{model}}")]),
    ]),
    ("Load", [
        Panel("Requests", "Accepted.", "reqps",
              [Query(rate("weft_gateway_requests_accepted_total"), "{{model}}")]),
        Panel("Output tokens", "Handed to gateways.", TOKENS_PER_SECOND,
              [Query(rate("weft_scheduler_generation_tokens_total"), "{{model}}")]),
        Panel("Output tokens of a worker", "For each worker that is ready.", TOKENS_PER_SECOND,
              [Query(f"{rate('weft_scheduler_generation_tokens_total')} / {READY_WORKERS}",
                     "{{model}}")]),
        Panel("Mean prompt", "Tokens of a prompt.", "short",
              [Query(mean("weft_scheduler_request_prompt_tokens"), "{{model}}")], width=6),
        Panel("Mean answer", "Output tokens of a sequence.", "short",
              [Query(mean("weft_scheduler_request_generation_tokens"), "{{model}}")], width=6),
        Panel("Prefix cache hits", "Part of the prompt tokens that were found.", "percentunit",
              [Query(f"{rate('weft_scheduler_prefix_cache_hit_tokens_total')} / "
                     f"{rate('weft_scheduler_prefix_cache_queried_tokens_total')}", "{{model}}")],
              width=6, maximum=1),
        Panel("Waiting", "Sequences in the queue.", "short",
              [Query(total("weft_scheduler_requests_waiting"), "{{model}}")], width=6),
        Panel("KV cache in use", "Part of the blocks that sequences hold.", "percentunit",
              [Query(KV_USAGE, "{{model}}")], width=12, maximum=1),
        Panel("Failed and refused", "Part of the requests that cost availability.", "percentunit",
              [Query(availability_errors("$__rate_interval"), "{{model}}")], width=12),
    ]),
]

DASHBOARDS = {
    "weft-overview": ("Weft: overview", OVERVIEW),
    "weft-gateway": ("Weft: gateway", GATEWAY),
    "weft-scheduler": ("Weft: scheduler and KV cache", SCHEDULER),
    "weft-worker": ("Weft: worker and GPU", WORKER),
    "weft-models": ("Weft: models side by side", MODELS),
}

# ---- as Grafana wants it ----

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
THRESHOLD_LINE = {"thresholdsStyle": {"mode": "dashed"}}


def variable(name, label, query):
    # Prometheus gives "" for series without the label: .* has them, too.
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE,
            "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1,
            "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


VARIABLES = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
     "current": {}, "hide": 0},
    variable("namespace", "Namespace", "label_values(weft_build_info, namespace)"),
    variable("model", "Model",
             'label_values(weft_gateway_requests_accepted_total{namespace=~"$namespace"}, model)'),
]


def field_config(panel):
    defaults = {"unit": panel.unit, "min": 0}
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.no_value:
        defaults["noValue"] = panel.no_value
    steps = [{"color": colour, "value": None if value == 0 else value}
             for value, colour in (panel.thresholds or {0: "green"}).items()]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line", "lineWidth": 1, "showPoints": "never",
            "fillOpacity": 30 if panel.stacked else 8,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            **(THRESHOLD_LINE if panel.thresholds else {})}
    overrides = [{"matcher": {"id": "byName", "options": column},
                  "properties": [{"id": "unit", "value": unit}]}
                 for column, unit in panel.units.items()]
    return {"defaults": defaults, "overrides": overrides}


def options(panel):
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value" if panel.thresholds else "none", "graphMode": "area",
                "textMode": "value_and_name"}
    if panel.kind == "heatmap":
        return {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Blues"},
                "yAxis": {"unit": panel.unit}, "legend": {"show": True},
                "tooltip": {"mode": "single", "showColorScale": True}}
    if panel.kind == "table":
        return {"showHeader": True}
    return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"}}


def targets(panel):
    found = []
    for number, query in enumerate(panel.queries):
        target = {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": query.expr,
                  "legendFormat": query.legend}
        if panel.kind == "table":
            target |= {"instant": True, "format": "table"}
        elif panel.kind == "heatmap":
            target |= {"range": True, "format": "heatmap"}
        else:
            target |= {"range": True}
        found.append(target)
    return found


def transformations(panel):
    if panel.kind != "table":
        return []
    names = {f"Value #{chr(ord('A') + number)}": query.legend
             for number, query in enumerate(panel.queries)}
    return [{"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True},
                                           "renameByName": {"model": "Model", **names}}}]


def panels_of(rows):
    """One after another, left to right, as wide as they say."""
    found, y = [], 0
    for name, panels in rows:
        found.append({"id": len(found) + 1, "type": "row", "title": name, "collapsed": False,
                      "gridPos": {"x": 0, "y": y, "w": GRID_COLUMNS, "h": 1}, "panels": []})
        y, x, height = y + 1, 0, 0
        for panel in panels:
            if x + panel.width > GRID_COLUMNS:
                y, x, height = y + height, 0, 0
            found.append({
                "id": len(found) + 1, "type": panel.kind, "title": panel.title,
                "description": panel.description, "datasource": DATASOURCE,
                "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
                "fieldConfig": field_config(panel), "options": options(panel),
                "targets": targets(panel), "transformations": transformations(panel)})
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return found


def dashboard(uid, title, rows):
    return {
        "uid": uid, "title": title, "tags": ["weft"], "schemaVersion": 39, "version": 1,
        "editable": False, "graphTooltip": 1, "timezone": "browser", "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["weft"], "title": "Weft", "asDropdown": False,
                   "includeVars": True, "keepTime": True}],
        "annotations": {"list": []},
        "templating": {"list": VARIABLES},
        "panels": panels_of(rows),
    }


def text_of(uid):
    title, rows = DASHBOARDS[uid]
    return json.dumps(dashboard(uid, title, rows), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(text_of(name))
