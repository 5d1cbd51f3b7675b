"""A mistake in values fails at `helm lint`, and the message names its path."""

import json
import re

import pytest
import yaml
from rendering import CHART, MINIMAL, ROOT, at, defaults, lint, merged, refusal, render_all
from scenarios import SCENARIOS

SCHEMA = json.loads((CHART / "values.schema.json").read_text())

# value, what is wrong with it, the path that the message must name
MISTAKES = [
    ("gateway.replicaCount", 3, "/gateway"),
    ("gateway.replicas", "two", "/gateway/replicas"),
    ("gateway.replicas", -1, "/gateway/replicas"),
    ("gateway.autoscaling.mode", "cpu", "/gateway/autoscaling/mode"),
    ("gateway.autoscaling.maxReplica", 3, "/gateway/autoscaling"),
    ("gateway.autoscaling.targetCPUUtilizationPercentage", 120,
     "/gateway/autoscaling/targetCPUUtilizationPercentage"),
    ("gateway.drainTimeout", "300s", "/gateway/drainTimeout"),
    ("gateway.flags.max-nn", 4, "/gateway/flags"),
    ("gateway.flags.max-n", 129, "/gateway/flags/max-n"),
    ("gateway.flags.port", 80, "/gateway/flags"),
    ("gateway.service.type", "Loadbalancer", "/gateway/service/type"),
    ("gateway.service.annotations.a", 1, "/gateway/service/annotations/a"),
    ("gateway.resources.limit", {}, "/gateway/resources"),
    ("gateway.resources.limits.memory", "2 GB", "/gateway/resources/limits/memory"),
    ("gateway.tolerations", {"key": "a"}, "/gateway/tolerations"),
    ("gateway.tolerations", [{"key": "a", "efect": "NoSchedule"}], "/gateway/tolerations/0"),
    ("gateway.topologySpread", [{"topologyKey": "a", "maxSkew": 0, "whenUnsatisfiable": "DoNotSchedule"}],
     "/gateway/topologySpread/0/maxSkew"),
    ("gateway.affinity.nodeAffinity.required", [], "/gateway/affinity/nodeAffinity"),
    ("gateway.podAnnotations", ["a"], "/gateway/podAnnotations"),
    ("scheduler.replicas", 0, "/scheduler/replicas"),
    ("scheduler.flags.scheduling-policy", "fifo", "/scheduler/flags/scheduling-policy"),
    ("worker.device", "gpu", "/worker/device"),
    ("worker.gpuResource", "gpu", "/worker/gpuResource"),
    ("worker.flags.gpu-memory-utilization", 90, "/worker/flags/gpu-memory-utilization"),
    ("worker.rollingUpdate.maxSurge", "half", "/worker/rollingUpdate/maxSurge"),
    ("worker.startupTimeout", 5, "/worker/startupTimeout"),
    ("models", {}, "/models"),
    ("models", [{"source": "hf://a/b@c"}], "/models"),
    ("models.R1", {"source": "hf://a/b@c"}, "/models"),
    ("models.r1.source", "deepseek-ai/DeepSeek-R1", "/models/r1/source"),
    ("models.r1.source", "hf://deepseek-ai/DeepSeek-R1", "/models/r1/source"),  # of which revision?
    ("models.r1.source", "file://models", "/models/r1/source"),
    ("models.r1.servedNames", "r1", "/models/r1/servedNames"),
    ("models.r1.servedNames", ["a,b"], "/models/r1/servedNames/0"),
    ("models.r1.workers", {}, "/models/r1"),
    ("models.r1.worker.replicas", 1.5, "/models/r1/worker/replicas"),
    ("models.r1.worker.flags.dtype", "bf16", "/models/r1/worker/flags/dtype"),
    ("image.pullPolicy", "IfNotThere", "/image/pullPolicy"),
    ("image.tag", "v1 latest", "/image/tag"),
    ("modelPull.tokenSecret", "hub", "/modelPull/tokenSecret"),
    ("modelPull.endpoint", "mirror:8080", "/modelPull/endpoint"),
    ("modelPull.env", [{"value": "a"}], "/modelPull/env/0"),
    ("apiKeys.entries", [{"name": "a", "key": "sk-secret"}], "/apiKeys/entries/0/key"),
    ("apiKeys.entries", [{"name": "a", "key": "sha256:" + 64 * "0", "rpm": 1}], "/apiKeys/entries/0"),
    ("apiKeys.required", "yes", "/apiKeys/required"),
    ("tls.mode", "secret", "/tls/existingSecret"),
    ("tls.mode", "certManager", "/tls/issuerRef"),
    ("peerTLS.mode", "off", "/peerTLS/mode"),
    ("peerTLS.duration", "90d", "/peerTLS/duration"),
    ("networkPolicy.metrics", [{"nameSpaceSelector": {}}], "/networkPolicy/metrics/0"),
    ("networkPolicy.hubCIDRs", ["0.0.0.0"], "/networkPolicy/hubCIDRs/0"),
    ("networkPolicy.apiServer.ports", [70000], "/networkPolicy/apiServer/ports/0"),
    ("ingress.enabled", True, "/ingress/hosts"),
    ("httpRoute.enabled", True, "/httpRoute/parentRefs"),
    ("httpRoute.requestTimeout", 60, "/httpRoute/requestTimeout"),
    ("log.level", "verbose", "/log/level"),
    ("tracing.ratio", 10, "/tracing/ratio"),
    ("tracing.endpoint", "collector:4317", "/tracing/endpoint"),
    ("monitoring.podMonitors", {}, "/monitoring"),
    ("monitoring.podMonitor.interval", 15, "/monitoring/podMonitor/interval"),
    ("keda.pollingInterval", 0, "/keda/pollingInterval"),
    ("tests.question", "", "/tests/question"),
]


def test_there_are_no_complaints_without_a_mistake():
    fails, output = lint(MINIMAL)
    assert not fails, output


@pytest.mark.parametrize(("path", "value", "named"), MISTAKES,
                         ids=[f"{path}={str(value)[:30]}" for path, value, _ in MISTAKES])
def test_lint_names_the_path_of_a_mistake(path, value, named):
    values = MINIMAL if path != "models" else {k: v for k, v in MINIMAL.items() if k != "models"}
    fails, output = lint(merged(values, at(path, value)))
    assert fails
    assert f"at '{named}'" in output, output


# What only templates can see; the message begins with the path.
CONTRADICTIONS = [
    ({"apiKeys": {"existingSecret": ""}}, "apiKeys: "),
    ({"apiKeys": {"entries": [{"name": "a", "key": "sha256:" + 64 * "0"}]}}, "apiKeys: "),
    ({"models": {"r2": {"source": "pvc://a", "servedNames": ["r1"]}}}, "models.r2.servedNames: "),
    ({"worker": {"rollingUpdate": {"maxUnavailable": 0}}}, "models.r1.worker.rollingUpdate: "),
    ({"worker": {"autoscaling": {"minReplicas": 9}}}, "models.r1.worker.autoscaling.maxReplicas: "),
    ({"gateway": {"autoscaling": {"minReplicas": 90}}}, "gateway.autoscaling.maxReplicas: "),
    ({"worker": {"autoscaling": {"mode": "keda"}}}, "keda.prometheusAddress: "),
    ({"gateway": {"autoscaling": {"mode": "keda"}}}, "keda.prometheusAddress: "),
]


def test_groups_may_share_a_name_but_not_the_first():
    both = {"r1": {"servedNames": ["v1", "r1"]}, "r2": {"source": "pvc://a", "servedNames": ["v2", "r1"]}}
    assert not lint(merged(MINIMAL, {"models": both}))[0]


@pytest.mark.parametrize(("values", "named"), CONTRADICTIONS, ids=[n for _, n in CONTRADICTIONS])
def test_contradictions_are_refused(values, named):
    assert f": {named}" in refusal(merged(MINIMAL, values))


def test_the_chart_is_of_the_projects_version():
    version, = re.findall(r"^project\(weft VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version


def test_image_volumes_are_refused_before_they_exist():
    values = merged(MINIMAL, at("models.r1.source", "oci://registry.example/r1:v1"))
    assert "models.r1.source: oci:// needs Kubernetes 1.33" in refusal(values, version="1.32.0")
    assert not lint(values, version="1.33.0")[0]


def test_older_clusters_are_refused():
    assert "kubeVersion" in refusal(MINIMAL, version="1.26.0")


def objects(schema, path="#"):
    """Every schema of an object, with its path."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from objects(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from objects(value, f"{path}/{index}")


def test_no_object_takes_what_it_does_not_know():
    for path, schema in objects(SCHEMA):
        if path == "#/properties/global":
            continue  # a parent chart's
        more = schema.get("additionalProperties")
        # Either closed, or a map whose values have a schema.
        assert more is False or (isinstance(more, dict) and more), path


def resolved(schema):
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def leaves(values, schema, path=""):
    """Paths of values.yaml down to where the schema has no properties; compares both on the way."""
    schema = resolved(schema)
    known = schema.get("properties")
    if known is None or not isinstance(values, dict) or (not values and path):
        yield path
        return
    optional = {"global"} if not path else set()
    assert set(values) == set(known) - optional, path
    for key, value in values.items():
        yield from leaves(value, known[key], f"{path}.{key}".lstrip("."))


def test_schema_and_values_know_the_same():
    assert len(list(leaves(defaults(), SCHEMA))) > 100


def flags_in_source(*places):
    """Those of `flags.Add("--a"` and, three at once, of `TlsFlagNames{"--a", "--b", "--c"}`."""
    added = re.compile(r'\.Add(?:Switch|Choice|<\w+>)?\(\s*"--([\w-]+)"|TlsFlagNames\{([^}]*)\}')
    files = [f for place in places
             for f in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).glob("**/*.cc"))]
    flags = {flag for f in files for one, three in added.findall(f.read_text())
             for flag in ([one] if one else re.findall(r'"--([\w-]+)"', three))}
    # Traces begin in gateways; schedulers share the file.
    return flags if "gateway" in places else flags - {"trace-ratio"}


# What the chart decides itself.
COMMON = {"admin-host", "admin-port", "log-format", "log-level", "plaintext-peers",
          "peer-tls-cert", "peer-tls-key", "peer-tls-ca", "peer-scheduler-name"}
OWN = {
    "gateway": COMMON | {"model", "served-model-name", "scheduler", "host", "port", "grpc-port",
                         "tls-cert", "tls-key", "tls-client-ca", "api-key-file", "api-key",
                         "drain-delay", "drain-timeout", "otlp-endpoint", "trace-ratio"},
    "scheduler": COMMON | {"served-model-name", "host", "port", "election", "kube-api", "kube-account", "advertise",
                           "peer-gateway-name", "peer-worker-name", "otlp-endpoint"},
    "worker": COMMON | {"model", "served-model-name", "scheduler", "backend",
                        "simulated-gpu", "simulated-speed", "simulated-vocab-size"},
}
SHARED = ["common/log.cc", "common/peer_tls.cc"]
PLACES = {
    "gateway": ["gateway", "common/tracer.cc", *SHARED],
    "scheduler": ["scheduler/rpc/main.cc", "common/tracer.cc", *SHARED],
    "worker": ["worker/rpc/main.cc", "worker/rpc/load.cc", *SHARED],
}


@pytest.mark.parametrize("tier", PLACES)
def test_values_offer_the_flags_of_the_binaries(tier):
    offered = set(SCHEMA["$defs"][f"{tier}Flags"]["properties"])
    assert flags_in_source(*PLACES[tier]) == offered | OWN[tier]


@pytest.mark.parametrize("values", SCENARIOS.values(), ids=SCENARIOS)
def test_binaries_know_every_flag_that_they_are_given(values):
    for pod, labels, spec in render_all(values).pods():
        if (tier := labels["app.kubernetes.io/component"]) in PLACES:
            given = {re.match(r"--([\w-]+)", a)[1] for a in spec["containers"][0]["args"]}
            assert given <= flags_in_source(*PLACES[tier]), pod
