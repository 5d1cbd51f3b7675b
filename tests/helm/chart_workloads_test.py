"""Gateways, schedulers and workers: how each is started, watched, replaced and found."""

import json
import math

import pytest
from rendering import containers, flag, render, render_all
from scenarios import SCENARIOS, SOURCES

TWO = {"models": {
    "r1": {"source": "pvc://models/r1", "servedNames": ["deepseek-r1", "reasoning"]},
    "math": {"source": "pvc://models/math", "scheduler": {"replicas": 3, "flags": {"max-waiting": 9}},
             "worker": {"replicas": 4, "device": "cpu", "flags": {"dtype": "float32"}}}}}


# ---- every tier


@pytest.mark.parametrize("name", SCENARIOS)
def test_probes_are_on_the_admin_port(name):
    for pod, labels, spec in render_all(SCENARIOS[name]).pods():
        if labels["app.kubernetes.io/component"] == "test":
            continue
        container = spec["containers"][0]
        assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "admin"}, pod
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "admin"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
        assert container["lifecycle"]["preStop"]["httpGet"] == {"path": "/drain", "port": "admin"}
        port = {p["name"]: p["containerPort"] for p in container["ports"]}["admin"]
        assert flag(container["args"], "admin-port") == [str(port)]
        assert flag(container["args"], "admin-host") == ["0.0.0.0"]


def test_a_busy_process_is_not_taken_for_a_dead_one():
    for _, _, spec in render(TWO).pods():
        for container in spec["containers"]:
            if "livenessProbe" in container:
                probe = container["livenessProbe"]
                assert probe["periodSeconds"] * probe["failureThreshold"] >= 60
                assert probe["timeoutSeconds"] >= 5  # Kubernetes' own is 1


@pytest.mark.parametrize(("tier", "pod"), [
    ("gateway", "gateway"), ("scheduler", "r1-scheduler"), ("worker", "r1-worker")])
def test_grace_covers_the_drain(tier, pod):
    for drain in (0, 20, 600):
        manifests = render({tier: {"drainTimeout": drain}}, {"gateway": {"drainDelay": 20}})
        delay = 20 if tier == "gateway" else 0
        assert manifests.pod(pod)["terminationGracePeriodSeconds"] == delay + drain + 15
    if tier == "gateway":
        assert flag(manifests.args(pod), "drain-timeout") == ["600"]
        assert flag(manifests.args(pod), "drain-delay") == ["20"]


def test_a_rollout_waits_for_the_slowest():
    manifests = render(TWO, {"worker": {"startupTimeout": 3600}})
    for name in ("gateway", "r1-scheduler", "r1-worker", "math-worker"):
        assert manifests.spec("Deployment", name)["progressDeadlineSeconds"] == 3600


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_deployment_has_its_budget(name):
    manifests = render_all(SCENARIOS[name])
    for deployment in manifests.of("Deployment"):
        budget, = [b["spec"] for b in manifests.of("PodDisruptionBudget")
                   if b["metadata"]["name"] == deployment["metadata"]["name"]]
        assert budget["selector"] == deployment["spec"]["selector"]
        assert budget["maxUnavailable"] == 1
        # A broken pod must not hold a node up.
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize("name", SCENARIOS)
def test_pods_are_selected_by_their_own_deployment_alone(name):
    manifests = render_all(SCENARIOS[name])
    pods = [(pod, labels) for pod, labels, _ in manifests.pods()]
    for kind in ("Deployment", "PodDisruptionBudget"):
        for document in manifests.of(kind):
            wanted = document["spec"]["selector"]["matchLabels"].items()
            assert [pod for pod, labels in pods if wanted <= labels.items()] == [
                document["metadata"]["name"]]


def test_replicas_are_spread():
    constraints = render(TWO).pod("r1-scheduler")["topologySpreadConstraints"]
    assert [(c["topologyKey"], c["whenUnsatisfiable"]) for c in constraints] == [
        ("kubernetes.io/hostname", "DoNotSchedule"),
        ("topology.kubernetes.io/zone", "ScheduleAnyway")]
    for constraint in constraints:
        assert constraint["labelSelector"]["matchLabels"]["weft.dev/group"] == "r1"
        # Else the old pods of a rollout, or nodes that are being drained, would count.
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]
        assert constraint["nodeTaintsPolicy"] == "Honor"


def test_a_new_chart_alone_replaces_no_pod():
    for _, labels, _ in render(TWO).pods():
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels) or (
            labels["app.kubernetes.io/component"] == "test")


@pytest.mark.parametrize("name", SCENARIOS)
def test_mounts_and_volumes_are_each_others(name):
    for pod, _, spec in render_all(SCENARIOS[name]).pods():
        volumes = [v["name"] for v in spec.get("volumes", [])]
        mounts = {m["name"] for c in containers(spec) for m in c.get("volumeMounts", [])}
        assert sorted(volumes) == sorted(mounts), pod
        for container in containers(spec):
            paths = [m["mountPath"] for m in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))
            # A mount below one that is read-only cannot be made.
            for path in paths:
                assert not any(p != path and path.startswith(f"{p}/") for p in paths), pod
            # Every file that a flag names is mounted.
            for argument in container["args"]:
                file = argument.partition("=")[2]
                if file.startswith(("/etc/", "/models/", "/pulled/")):
                    assert any(file == p or file.startswith(f"{p}/") for p in paths), argument


# ---- gateways


def test_a_gateway_knows_every_group():
    args = render(TWO).args("gateway")
    assert flag(args, "model") == ["/models/math", "/models/r1"]
    assert flag(args, "served-model-name") == ["math", "deepseek-r1,reasoning"]
    assert flag(args, "scheduler") == ["weft-math-scheduler.serving.svc:7000",
                                       "weft-r1-scheduler.serving.svc:7000"]


def test_gateways_are_replaced_one_by_one_and_never_missed():
    assert render(TWO).spec("Deployment", "gateway")["strategy"]["rollingUpdate"] == {
        "maxSurge": 1, "maxUnavailable": 0}


def test_services_lead_to_ports_of_the_pods():
    manifests = render(TWO)
    for service in manifests.of("Service"):
        spec = service["spec"]
        pods = [s for _, labels, s in manifests.pods() if spec["selector"].items() <= labels.items()]
        assert len(pods) == 1, service["metadata"]["name"]
        ports = {p["name"]: p["containerPort"] for p in pods[0]["containers"][0]["ports"]}
        for port in spec["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    def ports(service):
        return {p["name"]: p["appProtocol"] for p in manifests.spec("Service", service)["ports"]}
    assert ports("gateway") == {"http": "http", "grpc": "kubernetes.io/h2c"}
    assert ports("gateway-headless") == {"grpc": "kubernetes.io/h2c"}
    assert manifests.spec("Service", "gateway-headless")["clusterIP"] == "None"


@pytest.mark.parametrize(("pod", "flags"), [
    ("gateway", {"port": "http", "grpc-port": "grpc", "admin-port": "admin"}),
    ("r1-scheduler", {"port": "peers", "admin-port": "admin"}),
    ("r1-worker", {"admin-port": "admin"})])
def test_processes_listen_where_they_are_dialled(pod, flags):
    container = render(TWO).container(pod)
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert set(ports) == set(flags.values())
    for name, port in flags.items():
        assert flag(container["args"], name) == [str(ports[port])]
    hosts = {"admin-host"} if pod == "r1-worker" else {"host", "admin-host"}
    assert all(flag(container["args"], host) == ["0.0.0.0"] for host in hosts)


def test_keys():
    manifests = render({"apiKeys": {"existingSecret": "own"}})
    assert flag(manifests.args("gateway"), "api-key-file") == ["/etc/weft/api-keys/keys.json"]
    assert not manifests.of("Secret")
    entry = {"name": "a", "key": "sha256:" + 64 * "a", "models": ["r1"], "tokens_per_minute": 1000000}
    made = render({"apiKeys": {"existingSecret": "", "entries": [entry]}})
    secret = made.get("Secret", "api-keys")
    assert json.loads(secret["stringData"]["keys.json"]) == {"keys": [entry]}
    volume, = [v for v in made.pod("gateway")["volumes"] if v["name"] == "api-keys"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    opened = render({"apiKeys": {"required": False, "existingSecret": ""}})
    assert not flag(opened.args("gateway"), "api-key-file")


def test_the_front_speaks_tls():
    manifests = render({"tls": {"mode": "secret", "existingSecret": "front", "clientCASecret": "ca"}})
    args = manifests.args("gateway")
    assert flag(args, "tls-cert") == ["/etc/weft/tls/tls.crt"]
    assert flag(args, "tls-key") == ["/etc/weft/tls/tls.key"]
    assert flag(args, "tls-client-ca") == ["/etc/weft/client-ca/ca.crt"]
    assert {p["appProtocol"] for p in manifests.spec("Service", "gateway")["ports"]} == {"https"}
    plain = render()
    assert not flag(plain.args("gateway"), "tls-cert")
    made = render({"tls": {"mode": "certManager", "issuerRef": {"name": "le", "kind": "ClusterIssuer"},
                           "dnsNames": ["llm.example"]}})
    certificate = made.spec("Certificate", "tls")
    assert certificate["dnsNames"] == ["llm.example"]
    volume, = [v for v in made.pod("gateway")["volumes"] if v["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["secretName"]


def test_ingress_and_route_lead_to_the_service():
    manifests = render({
        "ingress": {"enabled": True, "hosts": ["a.example", "b.example"], "tlsSecret": "t"},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "front"}]}})
    ingress = manifests.spec("Ingress", "gateway")
    assert [r["host"] for r in ingress["rules"]] == ["a.example", "b.example"]
    for rule in ingress["rules"]:
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend == {"name": "weft-gateway", "port": {"name": "http"}}
    assert ingress["tls"] == [{"secretName": "t", "hosts": ["a.example", "b.example"]}]
    rule, = manifests.spec("HTTPRoute", "gateway")["rules"]
    assert rule["backendRefs"] == [{"name": "weft-gateway", "port": 8000}]
    # Answers may take minutes.
    assert rule["timeouts"] == {"request": "0s"}


# ---- schedulers


def test_schedulers_elect_by_the_lease_that_is_theirs():
    manifests = render(TWO)
    for group in ("r1", "math"):
        args = manifests.args(f"{group}-scheduler")
        lease, = flag(args, "election")
        assert lease == f"lease:weft-{group}-scheduler"
        assert manifests.get("Lease", f"{group}-scheduler")
        assert flag(args, "advertise") == ["$(POD_IP)"]
        env = {e["name"]: e for e in manifests.container(f"{group}-scheduler")["env"]}
        assert env["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert manifests.spec("Deployment", "r1-scheduler")["replicas"] == 2
    assert manifests.spec("Deployment", "math-scheduler")["replicas"] == 3


def test_a_lone_scheduler_elects_as_well():
    """While a rollout lasts there are two: without an election both would lead."""
    manifests = render({"scheduler": {"replicas": 1}})
    assert flag(manifests.args("r1-scheduler"), "election") == ["lease:weft-r1-scheduler"]


def test_neither_readiness_nor_rollout_waits_for_the_other():
    manifests = render(TWO)
    service = manifests.spec("Service", "r1-scheduler")
    # A leader without workers is not ready; workers come through this.
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True
    # The new one stands by, ready, before an old one goes.
    assert manifests.spec("Deployment", "r1-scheduler")["strategy"] == {
        "type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_what_a_group_says_goes_before_what_all_say():
    manifests = render(TWO, {"scheduler": {"flags": {"max-waiting": 5}}})
    assert flag(manifests.args("math-scheduler"), "max-waiting") == ["9"]
    assert flag(manifests.args("r1-scheduler"), "max-waiting") == ["5"]
    assert manifests.spec("Deployment", "math-worker")["replicas"] == 4
    assert flag(manifests.args("math-worker"), "dtype") == ["float32"]
    assert not flag(manifests.args("r1-worker"), "dtype")


# ---- workers


def test_a_worker_has_one_gpu():
    manifests = render(TWO)
    r1 = manifests.container("r1-worker")
    assert r1["image"] == "weft-worker-cuda:0.1.0"
    assert r1["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert flag(r1["args"], "backend") == ["cuda"]
    math_worker = manifests.container("math-worker")
    assert math_worker["image"] == "weft-worker-cpu:0.1.0"
    assert "nvidia.com/gpu" not in math_worker["resources"]["limits"]
    assert flag(math_worker["args"], "backend") == ["cpu"]


def test_a_worker_dials_its_own_group():
    manifests = render(TWO)
    for group in ("r1", "math"):
        assert flag(manifests.args(f"{group}-worker"), "scheduler") == [
            f"weft-{group}-scheduler.serving.svc:7000"]


def test_no_gpu_is_needed_twice():
    assert render(TWO).spec("Deployment", "r1-worker")["strategy"]["rollingUpdate"] == {
        "maxSurge": 0, "maxUnavailable": 1}


# ---- numbers


def test_large_numbers_stay_whole():
    manifests = render({
        "gateway": {"flags": {"max-body-bytes": 2000000, "stall-timeout": 0.5}, "drainTimeout": 86400},
        "scheduler": {"flags": {"max-waiting-tokens": 1 << 40}},
        "worker": {"flags": {"kv-cache-memory-bytes": 1 << 50}}})
    assert flag(manifests.args("gateway"), "max-body-bytes") == ["2000000"]
    assert flag(manifests.args("gateway"), "stall-timeout") == ["0.5"]
    assert flag(manifests.args("gateway"), "drain-timeout") == ["86400"]
    assert flag(manifests.args("r1-scheduler"), "max-waiting-tokens") == [str(1 << 40)]
    assert flag(manifests.args("r1-worker"), "kv-cache-memory-bytes") == [str(1 << 50)]


def test_switches_are_spelled_out():
    args = render({"gateway": {"flags": {"playground": False, "force-thinking": True}}}).args("gateway")
    assert flag(args, "playground") == ["false"] and flag(args, "force-thinking") == ["true"]


# ---- models

OPEN = {"apiKeys": {"required": False}}


def test_where_each_source_is_mounted():
    manifests = render_all({**SOURCES, **OPEN})
    volumes = {v["name"]: v for v in manifests.pod("gateway")["volumes"]}
    mounts = {m["name"]: m for m in manifests.container("gateway")["volumeMounts"]}
    assert volumes["model-claim"]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert mounts["model-claim"]["subPath"] == "r1/v2"
    assert volumes["model-image"]["image"] == {
        "reference": "registry.example:5000/models/r1:v1@sha256:" + 64 * "0",
        "pullPolicy": "IfNotPresent"}
    assert mounts["model-image"]["subPath"] == "r1"
    assert volumes["model-node"]["hostPath"] == {"path": "/srv/models/r1", "type": "Directory"}
    hub = flag(manifests.args("hub-worker"), "model")[0]
    assert flag(manifests.args("gateway"), "model") == [
        "/models/claim", hub, "/models/image", "/models/node"]
    for group in ("claim", "image", "node"):
        worker = {v["name"]: v for v in manifests.pod(f"{group}-worker")["volumes"]}
        assert worker[f"model-{group}"] == volumes[f"model-{group}"]
        assert "initContainers" not in manifests.pod(f"{group}-worker")
        assert flag(manifests.args(f"{group}-worker"), "model") == [f"/models/{group}"]
        assert mounts[f"model-{group}"]["readOnly"] is True


def test_a_whole_claim_has_no_sub_path():
    manifests = render({"models": {"r1": {"source": "pvc://models"}}})
    mount, = [m for m in manifests.container("r1-worker")["volumeMounts"] if m["name"] == "model-r1"]
    assert mount == {"name": "model-r1", "mountPath": "/models/r1", "readOnly": True}


def test_what_is_fetched_is_what_is_loaded():
    manifests = render_all({**SOURCES, **OPEN, "modelPull": {"tokenSecret": {"name": "hub"}}})
    worker, = manifests.pod("hub-worker")["initContainers"]
    assert worker["image"] == "weft-tools:0.1.0"
    folder, = flag(manifests.args("hub-worker"), "model")
    assert worker["args"] == ["pull", "hf://weft/r1@0123abc", f"--to={folder}"]
    assert folder.startswith("/pulled/hub-")
    # Gateways read no weights.
    gateway, = manifests.pod("gateway")["initContainers"]
    assert gateway["args"] == [*worker["args"], "--tokenizer-only"]
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    assert worker["env"] == gateway["env"] == [
        {"name": "HF_HUB_CACHE", "value": "/pulled/hub"}, token]
    # What serves has no use for the token.
    assert "hub" not in json.dumps(manifests.container("hub-worker").get("env", []))


def test_another_revision_has_another_folder():
    """In a claim both may be there: the one that serves, and the one that comes."""
    def folder(revision):
        return flag(render({"models": {"r1": {"source": f"hf://a/b@{revision}"}}}).args("r1-worker"), "model")
    assert folder("1") == folder("1") != folder("2")


def test_the_cache_is_a_claim_or_each_pods_own():
    def cache(pod, **pull):
        return next(v for v in render({"modelPull": pull}).pod(pod)["volumes"] if v["name"] == "pulled")
    assert cache("r1-worker") == {"name": "pulled", "emptyDir": {}}
    assert cache("r1-worker", cacheSizeLimit="50Gi")["emptyDir"] == {"sizeLimit": "50Gi"}
    claim = cache("r1-worker", cacheClaim="models", cacheSizeLimit="50Gi")
    assert claim["persistentVolumeClaim"] == {"claimName": "models"}
    # With the hub down, gateways start from what workers have fetched.
    assert cache("gateway", cacheClaim="models") == claim


# ---- autoscaling


def test_who_is_scaled_has_no_replicas():
    """A number here would undo the autoscaler at every upgrade."""
    manifests = render({"gateway": {"autoscaling": {"mode": "hpa"}},
                        "worker": {"autoscaling": {"mode": "keda"}},
                        "keda": {"prometheusAddress": "http://p:9090"}})
    assert "replicas" not in manifests.spec("Deployment", "gateway")
    assert "replicas" not in manifests.spec("Deployment", "r1-worker")
    assert manifests.spec("HorizontalPodAutoscaler", "gateway")["scaleTargetRef"]["name"] == "weft-gateway"
    fixed = render()
    assert fixed.spec("Deployment", "gateway")["replicas"] == 2
    assert not fixed.of("HorizontalPodAutoscaler") and not fixed.of("ScaledObject")


def test_workers_follow_their_own_groups_queue():
    manifests = render(TWO, {"models": {"r1": {"worker": {"autoscaling": {"mode": "keda"}}}}},
                       {"keda": {"prometheusAddress": "http://p:9090"}})
    scaled, = manifests.of("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "weft-r1-worker"
    trigger, = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(weft_scheduler_requests_waiting{namespace="serving",pod=~"weft-r1-scheduler-.*"})')
    assert trigger["metricType"] == "AverageValue"
    assert math.isclose(float(trigger["metadata"]["threshold"]), 5)


def test_gateways_follow_requests_in_flight():
    scaled, = render({"gateway": {"autoscaling": {"mode": "keda"}},
                      "keda": {"prometheusAddress": "http://p:9090"}}).of("ScaledObject")
    trigger, = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == (
        'sum(weft_gateway_requests_in_flight{namespace="serving",pod=~"weft-gateway-.*"})')
