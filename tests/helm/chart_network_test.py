"""Who reaches whom, as a cluster would work it out from the NetworkPolicies."""

import itertools

import pytest
from rendering import render, render_all
from scenarios import SCENARIOS


def matches(selector, labels):
    if selector is None:
        return False
    assert "matchExpressions" not in selector
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())


class Pod:
    def __init__(self, name, labels, spec=None, namespace="serving"):
        self.name, self.labels, self.namespace = name, labels, namespace
        ports = [p for c in (spec or {}).get("containers", []) for p in c.get("ports", [])]
        self.ports = {p["name"]: p["containerPort"] for p in ports}


class Network:
    """`reaches` is the API's rule: no policy that selects a pod in a direction, all may pass;
    otherwise what one of them lets pass."""

    def __init__(self, manifests):
        self.policies = [d["spec"] for d in manifests.of("NetworkPolicy")]
        self.pods = {name.removeprefix("weft-"): Pod(name, labels, spec)
                     for name, labels, spec in manifests.pods()}

    def _allows(self, direction, pod, other, port):
        of_pod = [p for p in self.policies
                  if direction in p["policyTypes"] and matches(p["podSelector"], pod.labels)]
        if not of_pod or pod.namespace != "serving":
            return True
        side = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
        target = pod if direction == "Ingress" else other
        return any(self._peer(rule.get(side[1]), other) and self._port(rule.get("ports"), target, port)
                   for policy in of_pod for rule in policy.get(side[0]) or [])

    @staticmethod
    def _peer(peers, other):
        if peers is None:
            return True
        for peer in peers:
            if "ipBlock" in peer:
                if other.name == "internet":
                    return True
                continue
            inside = other.namespace == "serving" if "namespaceSelector" not in peer else matches(
                peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
            if inside and ("podSelector" not in peer or matches(peer["podSelector"], other.labels)):
                return True
        return False

    @staticmethod
    def _port(ports, target, port):
        if ports is None:
            return True
        return any(p["protocol"] == "TCP" and target.ports.get(p["port"], p["port"]) == port
                   for p in ports)

    def reaches(self, source, target, port):
        return (self._allows("Egress", source, target, port)
                and self._allows("Ingress", target, source, port))

    def flows(self):
        """(from, to, port) among the release's pods."""
        return {(a, b, port) for a, b in itertools.permutations(self.pods, 2)
                for port in self.pods[b].ports.values()
                if self.reaches(self.pods[a], self.pods[b], port)}


TWO = {"models": {"r1": {"source": "pvc://models"}, "math": {"source": "pvc://models/math"}},
       "tests": {"apiKeySecret": {"name": "k"}}}


def test_exactly_the_flows_that_exist():
    expected = set()
    for group in ("r1", "math"):
        expected |= {("gateway", f"{group}-scheduler", 7000),
                     (f"{group}-worker", f"{group}-scheduler", 7000),
                     (f"{group}-test", "gateway", 8000)}
    # Whoever is not restricted may ask the gateways, also from within.
    everybody = {"networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {
        "kubernetes.io/metadata.name": "apps"}}}]}}
    assert Network(render(TWO, everybody)).flows() == expected


def test_a_pod_that_no_policy_knows_is_cut_off():
    network = Network(render(TWO))
    stray = Pod("stray", {"app.kubernetes.io/name": "weft", "app.kubernetes.io/instance": "weft"})
    for pod in network.pods.values():
        for port in pod.ports.values():
            assert not network.reaches(stray, pod, port)
    assert not network.reaches(stray, Pod("internet", {}, namespace="-"), 443)


@pytest.mark.parametrize(("namespace", "reaches"), [("monitoring", True), ("apps", False)])
def test_metrics_are_for_the_namespace_that_is_named(namespace, reaches):
    network = Network(render(TWO))
    outsider = Pod("prometheus", {}, namespace=namespace)
    for name, pod in network.pods.items():
        if "admin" in pod.ports:
            assert network.reaches(outsider, pod, pod.ports["admin"]) == reaches, name


def test_nobody_has_metrics_without_a_peer():
    network = Network(render(TWO, {"networkPolicy": {"metrics": []}}))
    outsider = Pod("prometheus", {}, namespace="monitoring")
    assert not any(network.reaches(outsider, pod, port) for pod in network.pods.values()
                   for port in pod.ports.values() if port not in (8000, 8001))


def test_clients_are_everybody_or_those_named():
    client = Pod("client", {}, namespace="apps")
    network = Network(render(TWO))
    assert network.reaches(client, network.pods["gateway"], 8000)
    assert network.reaches(client, network.pods["gateway"], 8001)
    assert not network.reaches(client, network.pods["gateway"], 8002)
    assert not network.reaches(client, network.pods["r1-scheduler"], 7000)
    closed = Network(render(TWO, {"networkPolicy": {"clients": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]}}))
    assert not closed.reaches(client, closed.pods["gateway"], 8000)
    assert closed.reaches(Pod("nginx", {}, namespace="ingress"), closed.pods["gateway"], 8000)


def outwards(manifests):
    """pod -> ports of what is outside of the cluster."""
    network = Network(manifests)
    internet = Pod("internet", {}, namespace="-")
    return {name: {port for port in (80, 443, 4318, 5432, 6443, 8080)
                   if network.reaches(pod, internet, port)}
            for name, pod in network.pods.items()}


def test_only_what_fetches_reaches_the_hub():
    hub = {"models": {"r1": {"source": "hf://weft/r1@1"}, "math": {"source": "pvc://math"}}}
    assert outwards(render(hub)) == {
        "gateway": {443}, "r1-worker": {443}, "math-worker": set(),
        # The API server.
        "r1-scheduler": {443, 6443}, "math-scheduler": {443, 6443}}
    mirrored = outwards(render(hub, {"modelPull": {"endpoint": "http://mirror:8080"}}))
    assert mirrored["gateway"] == mirrored["r1-worker"] == {8080}


def test_spans_reach_the_collector():
    out = outwards(render({"models": {"r1": {"source": "pvc://models"}},
                           "tracing": {"endpoint": "http://collector:4318"}}))
    assert out == {"gateway": {4318}, "r1-worker": set(), "r1-scheduler": {443, 6443, 4318}}


def test_cidrs_are_narrowed():
    manifests = render({"networkPolicy": {
        "hubCIDRs": ["10.1.0.0/16"], "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]}}})
    rules = manifests.spec("NetworkPolicy", "r1-worker")["egress"]
    assert {"ipBlock": {"cidr": "10.1.0.0/16"}} in rules[-1]["to"]
    rule = manifests.spec("NetworkPolicy", "r1-scheduler")["egress"][-1]
    assert rule == {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
                    "ports": [{"protocol": "TCP", "port": 6443}]}


def test_names_are_resolved_by_those_who_dial_names():
    dns = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    manifests = render(TWO)
    dials = {name: dns in manifests.spec("NetworkPolicy", name)["egress"]
             for name in ("gateway", "r1-worker", "r1-scheduler", "test")}
    assert dials == {"gateway": True, "r1-worker": True, "r1-scheduler": False, "test": True}


@pytest.mark.parametrize("name", ["cpu-demo", "one-gpu", "two-models-ha"])
def test_every_pod_is_restricted_both_ways(name):
    network = Network(render_all(SCENARIOS[name]))
    for pod in network.pods.values():
        for direction in ("Ingress", "Egress"):
            assert sum(direction in p["policyTypes"] and matches(p["podSelector"], pod.labels)
                       for p in network.policies) == 2, pod.name  # the default, and its own


def test_none_without_network_policies():
    assert not render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy")
