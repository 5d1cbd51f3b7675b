"""Every value does something: set to another, another manifest comes out, and says so."""

import pytest
from chart_schema_test import SCHEMA, leaves
from rendering import at, defaults, merged, render_text
from scenarios import EVERYTHING

HPA = {"gateway": {"autoscaling": {"mode": "hpa"}}}
FIXED = {"gateway": {"autoscaling": {"mode": "none"}}, "worker": {"autoscaling": {"mode": "none"}}}
OWN_KEYS = {"apiKeys": {"entries": [], "existingSecret": "keys"}}
OWN_TLS = {"tls": {"mode": "secret", "existingSecret": "front"}}
KEPT_APART = [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]
AWAY = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}}
PEER = [{"ipBlock": {"cidr": "10.9.0.0/16"}}]

# Of each tier: value, another one, and what of it must be found in the manifests.
TIER = [
    ("resources.limits.memory", "77Mi", "memory: 77Mi"),
    ("resources.requests.cpu", "77m", "cpu: 77m"),
    ("resources.requests.memory", "76Mi", "memory: 76Mi"),
    ("maxUnavailable", "77%", "maxUnavailable: 77%"),
    ("topologySpread", KEPT_APART, 'topologyKey: "rack"'),
    ("nodeSelector", {"disk": "fast"}, "disk: fast"),
    ("tolerations", [{"key": "rented", "operator": "Exists"}], "key: rented"),
    ("affinity", AWAY, "topologyKey: rack"),
    ("priorityClassName", "urgent", 'priorityClassName: "urgent"'),
    ("podAnnotations", {"note": "here"}, "note: here"),
]

# value, another one, what must be found, and values without which it says nothing
OTHERS = [
    ("listenAddress", "::", "--admin-host=::"),
    ("nameOverride", "llm", "app.kubernetes.io/name: llm"),
    ("fullnameOverride", "llm", "name: llm-gateway"),
    ("image.registry", "elsewhere.example", "image: elsewhere.example/weft-gateway:1.2.3"),
    ("image.tag", "9.9", "weft-worker-cuda:9.9"),
    ("image.pullPolicy", "Always", "imagePullPolicy: Always"),
    ("image.pullSecrets", ["other"], '- name: "other"'),
    ("models", {"more": {"source": "pvc://more"}}, 'claimName: "more"'),
    ("gateway.replicas", 7, "replicas: 7", FIXED),
    ("gateway.autoscaling.mode", "hpa", "kind: HorizontalPodAutoscaler"),
    ("gateway.autoscaling.minReplicas", 7, "minReplicas: 7", HPA),
    ("gateway.autoscaling.maxReplicas", 17, "maxReplicas: 17", HPA),
    ("gateway.autoscaling.targetCPUUtilizationPercentage", 77, "averageUtilization: 77", HPA),
    ("gateway.autoscaling.targetRequestsInFlight", 77, 'threshold: "77"'),
    ("gateway.drainDelay", 77, "--drain-delay=77"),
    ("gateway.drainTimeout", 77, "terminationGracePeriodSeconds: 102"),
    ("gateway.flags", {"cors-origins": "none"}, "--cors-origins=none"),
    ("gateway.service.type", "NodePort", "type: NodePort"),
    ("gateway.service.annotations", {"lb": "internal"}, "lb: internal"),
    ("scheduler.drainTimeout", 77, "terminationGracePeriodSeconds: 92"),
    ("scheduler.replicas", 3, "replicas: 3"),
    ("scheduler.flags", {"max-tenant-requests": 7}, "--max-tenant-requests=7"),
    ("worker.drainTimeout", 77, "terminationGracePeriodSeconds: 92"),
    ("worker.replicas", 7, "replicas: 7", FIXED),
    ("worker.autoscaling.mode", "none", "replicas: 1"),
    ("worker.autoscaling.minReplicas", 3, "minReplicaCount: 3"),
    ("worker.autoscaling.maxReplicas", 17, "maxReplicaCount: 17"),
    ("worker.autoscaling.targetWaiting", 7.5, 'threshold: "7.5"'),
    ("worker.device", "cpu", "weft-worker-cpu:1.2.3"),
    ("worker.gpuResource", "nvidia.com/mig-3g.40gb", "nvidia.com/mig-3g.40gb: 1"),
    ("worker.runtimeClassName", "gpu", 'runtimeClassName: "gpu"'),
    ("worker.flags", {"kv-cache-memory-bytes": 8589934592}, "--kv-cache-memory-bytes=8589934592"),
    ("worker.rollingUpdate.maxSurge", "50%", "maxSurge: 50%"),
    ("worker.rollingUpdate.maxUnavailable", 2, "maxUnavailable: 2"),
    ("worker.startupTimeout", 777, "progressDeadlineSeconds: 777"),
    ("modelPull.cacheClaim", "other", 'claimName: "other"'),
    ("modelPull.cacheSizeLimit", "77Gi", 'sizeLimit: "77Gi"', {"modelPull": {"cacheClaim": ""}}),
    ("modelPull.tokenSecret.name", "other", 'name: "other", key: "token"'),
    ("modelPull.tokenSecret.key", "pass", 'name: "hub", key: "pass"'),
    ("modelPull.endpoint", "https://other:777", "name: HF_ENDPOINT, value: \"https://other:777\""),
    ("modelPull.env", [{"name": "NO_PROXY", "value": "x"}], "name: NO_PROXY"),
    ("modelPull.resources.limits.memory", "79Mi", "memory: 79Mi"),
    ("modelPull.resources.requests.cpu", "79m", "cpu: 79m"),
    ("modelPull.resources.requests.memory", "78Mi", "memory: 78Mi"),
    ("apiKeys.required", False, ""),
    ("apiKeys.existingSecret", "other", 'secretName: "other"', OWN_KEYS),
    ("apiKeys.entries", [{"name": "bob", "key": "sha256:" + 64 * "b"}], '"name": "bob"'),
    ("tls.mode", "none", "name: http, port: 8000, targetPort: http, appProtocol: http}"),
    ("tls.existingSecret", "other", 'secretName: "other"', OWN_TLS),
    ("tls.issuerRef", {"name": "other"}, "name: other"),
    ("tls.dnsNames", ["other.example"], "- other.example"),
    ("tls.clientCASecret", "other", 'secretName: "other"'),
    ("peerTLS.mode", "plaintext", "--plaintext-peers"),
    ("peerTLS.issuerRef", {"name": "other"}, "name: other"),
    ("peerTLS.duration", "7h", "duration: 7h"),
    ("peerTLS.renewBefore", "1h", "renewBefore: 1h"),
    ("networkPolicy.enabled", False, ""),
    ("networkPolicy.clients", PEER, "cidr: 10.9.0.0/16"),
    ("networkPolicy.metrics", PEER, "cidr: 10.9.0.0/16"),
    ("networkPolicy.apiServer.cidrs", ["10.9.0.1/32"], 'cidr: "10.9.0.1/32"'),
    ("networkPolicy.apiServer.ports", [777], "port: 777"),
    ("networkPolicy.hubCIDRs", ["10.9.0.1/32"], 'cidr: "10.9.0.1/32"'),
    ("ingress.enabled", False, ""),
    ("ingress.className", "other", 'ingressClassName: "other"'),
    ("ingress.annotations", {"c": "d"}, "c: d"),
    ("ingress.hosts", ["other.example"], "host: \"other.example\""),
    ("ingress.tlsSecret", "other", 'secretName: "other"'),
    ("httpRoute.enabled", False, ""),
    ("httpRoute.parentRefs", [{"name": "other"}], "- name: other"),
    ("httpRoute.hostnames", ["other.example"], "- other.example"),
    ("httpRoute.requestTimeout", "77s", "request: 77s"),
    ("log.format", "text", "--log-format=text"),
    ("log.level", "debug", "--log-level=debug"),
    ("tracing.endpoint", "http://other:777", "--otlp-endpoint=http://other:777"),
    ("tracing.ratio", 0.25, "--trace-ratio=0.25"),
    ("monitoring.podMonitor.enabled", False, ""),
    ("monitoring.podMonitor.interval", "77s", "interval: 77s"),
    ("monitoring.podMonitor.labels", {"c": "d"}, "c: d"),
    ("monitoring.rules.enabled", False, ""),
    ("monitoring.rules.labels", {"c": "d"}, "c: d"),
    ("keda.prometheusAddress", "http://other:777", "serverAddress: http://other:777"),
    ("keda.pollingInterval", 77, "pollingInterval: 77"),
    ("keda.cooldownPeriod", 77, "cooldownPeriod: 77"),
    ("tests.question", "Why?", "- \"Why?\""),
    ("tests.url", "https://other:777", "- --url=https://other:777"),
    ("tests.apiKeySecret.name", "other", 'name: "other", key: "key"'),
    ("tests.apiKeySecret.key", "pass", 'name: "test", key: "pass"'),
    ("tests.caSecret.name", "other", 'secretName: "other"'),
    ("tests.caSecret.key", "pem", "--ca-file=/etc/weft/ca/pem"),
]
# Theirs are the dashboards' own tests: they need dashboards.
ELSEWHERE = {"monitoring.dashboards.enabled", "monitoring.dashboards.labels.grafana_dashboard",
             "monitoring.dashboards.annotations"}

CASES = [(f"{tier}.{path}", value, found, {}) for tier in ("gateway", "scheduler", "worker")
         for path, value, found in TIER] + [(*case, {})[:4] for case in OTHERS]


@pytest.mark.parametrize(("path", "value", "found", "beside"), CASES, ids=[c[0] for c in CASES])
def test_a_value_changes_what_it_says(path, value, found, beside):
    before = render_text(merged(EVERYTHING, beside))
    after = render_text(merged(EVERYTHING, beside, at(path, value)))
    assert before != after
    assert after.count(found) > before.count(found) or not found


def test_every_value_is_among_them():
    known = {case[0] for case in CASES} | ELSEWHERE
    # A map whose keys are the user's own is one value.
    missing = [path for path in leaves(defaults(), SCHEMA)
               if path not in known and not any(path.startswith(f"{k}.") or k.startswith(f"{path}.")
                                                for k in known)]
    assert missing == []
