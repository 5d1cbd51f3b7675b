"""Values that together make every template render, each in its ways."""

from rendering import example, merged

SOURCES = {"models": {
    "hub": {"source": "hf://weft/r1@0123abc"},
    "claim": {"source": "pvc://models/r1/v2"},
    "image": {"source": "oci://registry.example:5000/models/r1:v1@sha256:" + 64 * "0" + "#r1"},
    "node": {"source": "file:///srv/models/r1"},
}}

EVERYTHING = {
    **SOURCES,
    "image": {"registry": "registry.example/llm", "tag": "1.2.3", "pullSecrets": ["registry"]},
    "gateway": {
        "autoscaling": {"mode": "keda"},
        "flags": {"max-n": 4, "max-body-bytes": 4000000, "playground": False},
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}]}},
        "podAnnotations": {"example.org/team": "llm"},
        "priorityClassName": "serving",
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    },
    "worker": {"autoscaling": {"mode": "keda"}, "runtimeClassName": "nvidia"},
    "modelPull": {
        "cacheClaim": "models", "tokenSecret": {"name": "hub"}, "endpoint": "http://mirror:8080",
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]},
    "apiKeys": {"entries": [{"name": "a", "key": "sha256:" + 64 * "a", "requests_per_minute": 60}]},
    "tls": {"mode": "certManager", "issuerRef": {"name": "ca", "kind": "ClusterIssuer"},
            "dnsNames": ["llm.example"]},
    "networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {"team": "apps"}}}]},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"},
                "hosts": ["llm.example"], "tlsSecret": "llm"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "front", "namespace": "edge"}],
                  "hostnames": ["llm.example"]},
    "tracing": {"endpoint": "http://collector:4318", "ratio": 0.5},
    "monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "p"}},
                   "rules": {"enabled": True, "labels": {"release": "p"}},
                   "dashboards": {"enabled": True, "annotations": {"folder": "LLM"}}},
    "keda": {"prometheusAddress": "http://prometheus:9090"},
    "tests": {"url": "https://llm.example:8000", "apiKeySecret": {"name": "test"},
              "caSecret": {"name": "ca"}},
}

SCENARIOS = {
    "cpu-demo": example("cpu-demo"),
    "one-gpu": example("one-gpu"),
    "two-models-ha": example("two-models-ha"),
    "everything": EVERYTHING,
    "own-certificates": merged(EVERYTHING, {
        "gateway": {"autoscaling": {"mode": "hpa"}}, "peerTLS": {"mode": "secrets"},
        "tls": {"mode": "secret", "existingSecret": "front", "clientCASecret": "clients"}}),
    "shared-issuer": merged(EVERYTHING, {
        "peerTLS": {"issuerRef": {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}},
        "modelPull": {"cacheClaim": "", "cacheSizeLimit": "50Gi"},
        "networkPolicy": {"enabled": False}}),
}
# Image volumes are refused before 1.33.
UNTIL_1_33 = {name: merged(values, {"models": {n: {"source": "pvc://models/a"}
                                               for n, m in values["models"].items()
                                               if m["source"].startswith("oci:")}})
              for name, values in SCENARIOS.items()}
