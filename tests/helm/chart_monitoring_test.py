"""Metrics, alerts, dashboards, traces, and what `helm test` asks."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from rendering import CHART, MINIMAL, RELEASE, ROOT, find_helm, flag, merged, render

ON = {"monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True},
                     "dashboards": {"enabled": True}}}


def test_nothing_of_the_operators_unless_asked_for():
    kinds = {d["kind"] for d in render()}
    assert not kinds & {"PodMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute", "ConfigMap"}


def test_one_monitor_for_all_tiers():
    manifests = render(ON)
    spec = manifests.spec("PodMonitor", "")
    endpoint, = spec["podMetricsEndpoints"]
    assert spec["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "weft", "app.kubernetes.io/instance": RELEASE}
    for pod, labels, pod_spec in manifests.pods():
        if labels["app.kubernetes.io/component"] == "test":
            continue
        assert spec["selector"]["matchLabels"].items() <= labels.items(), pod
        assert endpoint["port"] in [p["name"] for p in pod_spec["containers"][0]["ports"]]
    relabeling, = endpoint["relabelings"]
    assert relabeling["targetLabel"] == "job" and relabeling["replacement"] == "weft-$1"


def test_metrics_of_every_tier_call_a_model_the_same():
    manifests = render({"models": {"r1": {"servedNames": ["org/r1", "r1"]}}})
    for name in ("r1-scheduler", "r1-worker"):
        assert flag(manifests.args(name), "served-model-name") == ["org/r1"]
    assert flag(manifests.args("gateway"), "served-model-name") == ["org/r1,r1"]


def test_alerts_are_the_projects():
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    assert render(ON).spec("PrometheusRule", "")["groups"] == alerts["groups"]


def test_dashboards_are_the_projects():
    dashboards = {path.name: json.loads(path.read_text())
                  for path in (ROOT / "deploy" / "grafana").glob("*.json")}
    maps = render(ON, {"monitoring": {"dashboards": {"annotations": {"folder": "LLM"}}}}).of("ConfigMap")
    rendered = {name: json.loads(text) for m in maps for name, text in m["data"].items()}
    assert rendered == dashboards
    for config_map in maps:
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert config_map["metadata"]["annotations"] == {"folder": "LLM"}
        assert len(json.dumps(config_map)) < 1 << 20


def test_a_package_holds_alerts_and_dashboards(tmp_path):
    """In the source they are links that lead out of the chart."""
    helm = find_helm() or pytest.skip("there is no helm: scripts/setup.sh helm brings it")
    subprocess.run([helm, "package", CHART, "-d", tmp_path], check=True, capture_output=True)
    package, = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path)
    files = tmp_path / "weft" / "files"
    assert (files / "alerts.yaml").read_text() == (
        ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text()
    packed = {p.name for p in (files / "dashboards").rglob("*") if p.is_file()}
    assert packed == {p.name for p in (ROOT / "deploy" / "grafana").glob("*.json")}
    assert not (tmp_path / "weft" / "examples").exists()


def test_traces_go_where_they_are_sent():
    traced = render({"tracing": {"endpoint": "http://collector:4318", "ratio": 0.25}})
    for name in ("gateway", "r1-scheduler"):
        assert flag(traced.args(name), "otlp-endpoint") == ["http://collector:4318"]
        assert not flag(render().args(name), "otlp-endpoint")
    assert flag(traced.args("gateway"), "trace-ratio") == ["0.25"]


ASKS = {"tests": {"apiKeySecret": {"name": "key"}}}


def test_each_model_is_asked():
    manifests = render(ASKS, {"models": {"math": {"source": "pvc://m", "servedNames": ["qwen", "m"]}}})
    pod = manifests.get("Pod", "math-test")
    assert pod["metadata"]["annotations"] == {
        "helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}
    container, = pod["spec"]["containers"]
    assert container["image"] == "weft-tools:0.1.0"
    assert container["args"] == [
        "chat", "--url=http://weft-gateway.serving.svc:8000", "--model=qwen", "What is 17 + 25?"]
    assert container["env"] == [
        {"name": "WEFT_API_KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "key"}}}]
    assert pod["spec"]["restartPolicy"] == "Never"
    assert manifests.has("Pod", "r1-test")


def test_nobody_asks_who_would_not_be_let_in():
    assert not render().of("Pod")
    assert render({"apiKeys": {"required": False, "existingSecret": ""}}).of("Pod")
    tls = {"mode": "secret", "existingSecret": "front", "clientCASecret": "clients"}
    assert not render(ASKS, {"tls": tls}).of("Pod")


def test_a_test_trusts_the_authority_that_it_is_given():
    manifests = render(ASKS, {"tests": {"caSecret": {"name": "ca"}},
                              "tls": {"mode": "secret", "existingSecret": "front"}})
    args = manifests.args("r1-test")
    assert "--ca-file=/etc/weft/ca/ca.crt" in args
    assert "--url=https://weft-gateway.serving.svc:8000" in args


def notes(tmp_path, values):
    """`helm template` leaves NOTES.txt out: here it is a template in a copy of the chart."""
    chart = tmp_path / "weft"
    if not chart.exists():
        shutil.copytree(CHART, chart)
        text = (chart / "templates" / "NOTES.txt").read_text()
        (chart / "templates" / "notes.yaml").write_text(
            '{{- define "notes" }}' + text + '{{ end }}\nnotes: {{ include "notes" . | quote }}\n')
    helm = find_helm() or pytest.skip("there is no helm: scripts/setup.sh helm brings it")
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = subprocess.run(
        [helm, "template", RELEASE, chart, "-n", "serving", "-f", file, "--kube-version", "1.34.0",
         "-s", "templates/notes.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["notes"]


def test_notes(tmp_path):
    usual = notes(tmp_path, MINIMAL)
    assert "r1   from hf://weft/r1@0123abc" in usual
    assert "port-forward service/weft-gateway 8000" in usual
    assert "tests.apiKeySecret" in usual and "WARNING" not in usual
    assert "helm test -n serving weft" in notes(tmp_path, merged(MINIMAL, ASKS))
    warned = notes(tmp_path, merged(MINIMAL, {
        "models": {"r1": {"source": "file:///srv/r1"}}, "peerTLS": {"mode": "plaintext"},
        "apiKeys": {"required": False, "existingSecret": ""}}))
    assert len(re.findall("^WARNING: ", warned, re.MULTILINE)) == 3
    own = notes(tmp_path, merged(MINIMAL, {"peerTLS": {"mode": "secrets"}}))
    assert "weft-r1-worker-peer-tls   weft-r1-worker.serving.svc" in own
    assert "weft-r1-scheduler.serving.svc, weft-scheduler.serving.svc" in own
    front = {"ingress": {"enabled": True, "hosts": ["llm.example"], "tlsSecret": "t"}}
    assert "https://llm.example/v1" in notes(tmp_path, merged(MINIMAL, front))


def test_links_lead_to_the_projects_files():
    assert (CHART / "files" / "alerts.yaml").resolve() == (
        ROOT / "deploy" / "prometheus" / "alerts.yaml")
    assert (CHART / "files" / "dashboards").resolve() == (ROOT / "deploy" / "grafana")
