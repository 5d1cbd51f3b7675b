"""A running system under load, scraped by a real Prometheus: not one panel stays empty."""

import math
import ssl
import subprocess
import threading
import time

import httpx
import prometheus_server
import pytest
import source_metrics
import stack
import tiny_model as tiny
from prometheus_server import preview

KEY = "a-key-for-the-load-only"
NAMES = ("reasoner", "solver")
NUM_CLIENTS = 3  # of each model
SHARED = "The beginning of every prompt, which the prefix cache may give: " * 4
# Rates over ten scrapes, once there are as many.
RATE_INTERVAL_S = 10
LOAD_S = 14

# What only a GPU can tell: by panel, the metrics without which it is empty.
NEEDS_GPU = {
    "GPU memory in use": {"weft_worker_gpu_memory_used_bytes"},
    "GPU power": {"weft_worker_gpu_power_watts"},
    "GPU temperature": {"weft_worker_gpu_temperature_celsius"},
    "GPU utilization": {"weft_worker_gpu_utilization_ratio"},
    "Tensor cores": {"weft_worker_gpu_memory_total_bytes"},
    "Memory bandwidth": {"weft_worker_gpu_memory_total_bytes"},
    "XID": {"weft_worker_gpu_memory_total_bytes"},
}
PANELS = [pytest.param(dashboard["uid"], panel, id=f"{dashboard['uid']}: {panel['title']}")
          for dashboard in preview.dashboards() for panel in preview.panels(dashboard)]


class Secured(stack.Served):
    """Two models, with API keys and TLS, so that everything there is to measure is."""

    def __init__(self, bin_dir, models, folder):
        self.folder_of_keys = folder
        self.models = models
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "90", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
             folder / "cert.pem"], check=True, capture_output=True, timeout=30)
        super().__init__(bin_dir, models[0], [
            "--backend", "cpu", "--dtype", "float32", "--kv-cache-memory-bytes", "4194304",
            "--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")],
            environment={"WEFT_API_KEY": KEY})
        # `weft serve` gives the second model's processes the next numbers.
        for tier in ("scheduler", "worker"):
            self.admin_ports[tier] = self.two_ports()

    @staticmethod
    def two_ports():
        """The first of two free ones in a row."""
        while True:
            [port] = stack.free_ports(1)
            with stack.socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port + 1)) != 0:
                    return port

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def command(self):
        words = super().command()
        name = words.index("--served-model-name")
        named = [word for served in NAMES for word in ("--served-model-name", served)]
        return [*words[:name], str(self.models[1]), *named, *words[name + 2:]]

    def targets(self):
        return {f"weft-{tier}": [self.admin_ports[tier] + number
                                 for number in range(1 if tier == "gateway" else 2)]
                for tier in stack.TIERS}

    def http(self, key=KEY):
        trust = ssl.create_default_context(cafile=str(self.folder_of_keys / "cert.pem"))
        return httpx.Client(base_url=self.url, verify=trust, timeout=60,
                            headers={"Authorization": f"Bearer {key}"})


class Load:
    """Clients of both models that stream one answer after another while the `with` lasts."""

    def __init__(self, served):
        self.served = served
        self.over = threading.Event()
        self.num_answers = 0
        self.threads = [threading.Thread(target=self.run, args=(model, number), daemon=True)
                        for model in NAMES for number in range(NUM_CLIENTS)]

    def run(self, model, number):
        with self.served.http() as client:
            turn = 0
            while not self.over.is_set():
                turn += 1
                body = {"model": model, "prompt": f"{SHARED} {number} {turn}",
                        "max_tokens": 20 + 10 * number, "ignore_eos": True, "stream": True}
                with client.stream("POST", "/v1/completions", json=body) as answer:
                    assert answer.status_code == 200
                    for _ in answer.iter_text():
                        pass
                self.num_answers += 1
                time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)


@pytest.fixture(scope="module")
def served(bin_dir, demo_model, tmp_path_factory):
    models = [tiny.write_tiny_model(tmp_path_factory.mktemp("models") / name, demo_model)
              for name in NAMES]
    with Secured(bin_dir, models, tmp_path_factory.mktemp("keys")) as served:
        yield served


@pytest.fixture(scope="module")
def prometheus(served):
    """With what a load has left in it; the load goes on."""
    with served.http(key="wrong") as stranger:
        assert stranger.get("/v1/models").status_code == 401
    with prometheus_server.Server(served.targets(),
                                  preview.FOLDER.parent / "prometheus" / "alerts.yaml",
                                  {"namespace": "weft"}) as prometheus, Load(served) as load:
        up = stack.eventually(lambda: len(prometheus.query("up == 1")) == 5, 20)
        assert up, prometheus.query("up")
        time.sleep(LOAD_S)
        assert load.num_answers > 20 and all(thread.is_alive() for thread in load.threads)
        yield prometheus


def test_the_load_meets_its_own_beginning_in_the_cache(prometheus):
    hits = prometheus.query("rate(weft_scheduler_prefix_cache_hit_tokens_total[10s]) > 0")
    assert {labels["model"] for labels, _ in hits} == set(NAMES)


def values(prometheus, target):
    expr = preview.substitute(target["expr"], RATE_INTERVAL_S, LOAD_S)
    return [value for _, value in prometheus.query(expr) if not math.isnan(value)]


@pytest.mark.parametrize("uid, panel", PANELS)
def test_every_query_has_an_answer(prometheus, uid, panel):
    if panel["title"] in NEEDS_GPU:
        assert not any(values(prometheus, target) for target in panel["targets"]), "needs none"
        return
    for target in panel["targets"]:
        assert values(prometheus, target), target["expr"]


@pytest.mark.parametrize("uid, panel", PANELS)
def test_every_query_can_be_of_one_model(prometheus, uid, panel):
    """Narrowed to it, nothing of the other model is left."""
    for target in panel["targets"]:
        expr = preview.substitute(target["expr"], RATE_INTERVAL_S, LOAD_S, model="solver")
        found = {labels.get("model") for labels, _ in prometheus.query(expr)}
        assert found <= {"solver", None}, target["expr"]


@pytest.mark.parametrize("title", NEEDS_GPU)
def test_what_needs_a_gpu_asks_for_what_the_worker_has(title):
    [panel] = [one.values[1] for one in PANELS if one.values[1]["title"] == title]
    for name in NEEDS_GPU[title]:
        assert name in source_metrics.in_query(panel["targets"][0]["expr"])
        assert name in source_metrics.in_sources()


@pytest.mark.parametrize("variable", [one for one in preview.dashboards()[0]["templating"]["list"]
                                      if one["type"] == "query"], ids=lambda one: one["name"])
def test_variables_offer_what_there_is(prometheus, variable):
    query = variable["query"]["query"].removeprefix("label_values(").removesuffix(")")
    selector, label = query.rsplit(", ", 1)
    found = prometheus.ask("series", **{"match[]": preview.substitute(selector, 1, 1)})
    offered = {series[label] for series in found if label in series}
    assert offered == {"namespace": {"weft"}, "model": set(NAMES)}[label]


@pytest.mark.parametrize("tier", stack.TIERS)
def test_every_tiers_page_passes_promtool(prometheus, served, tier):
    text = served.exposition(tier)[1]
    assert prometheus_server.promtool("check", "metrics", text=text) == ""


def test_rules_are_evaluated_and_a_healthy_system_wakes_nobody(prometheus):
    groups = prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    for slo in ("availability", "ttft"):
        for window in ("5m", "1h", "6h"):
            burn = {labels["model"]: value for labels, value in
                    prometheus.query(f'weft:slo_burn_rate:{window}{{slo="{slo}"}}')}
            assert set(burn) == set(NAMES)
            assert slo == "ttft" or set(burn.values()) == {0}
    firing = [one["labels"] for one in prometheus.ask("alerts")["alerts"]
              if one["labels"].get("slo") != "ttft"]  # a busy machine may be slow
    assert firing == []


def test_the_page_without_grafana_shows_every_panel(prometheus, tmp_path):
    page = preview.page(prometheus, 0.4, RATE_INTERVAL_S)
    titles = [one.values[1]["title"] for one in PANELS]
    for title in titles:
        assert preview.html.escape(title) in page
    assert "No data" not in page
    assert page.count("no GPU") == len(NEEDS_GPU)
