"""Every rendered document is what the API servers it is for take: strictly, unknown fields included."""

import functools
import json
import pathlib
import shutil
import subprocess

import pytest
from rendering import CHART, NEWEST, OLDEST, ROOT, key, render_all, render_text
from scenarios import SCENARIOS, UNTIL_1_33

jsonschema = pytest.importorskip("jsonschema")
kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="there are no schemas: scripts/setup.sh helm brings them")
from referencing import Registry, Resource  # noqa: E402  (comes with jsonschema)
from referencing.jsonschema import DRAFT202012  # noqa: E402

CUSTOM = ("cert-manager.io", "gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com")
NODE_MODULES = ROOT / "build" / "npm" / "helm" / "node_modules"


def is_custom(document):
    return document["apiVersion"].split("/")[0] in CUSTOM


@functools.cache
def validator(version, api_version, kind):
    """kubernetes_validate's own reads a megabyte for each document."""
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    folder /= f"v{version}-local-strict"
    group, _, version_name = api_version.rpartition("/")
    parts = [kind.lower(), group.split(".")[0], version_name]
    schema = json.loads((folder / ("-".join(filter(None, parts)) + ".json")).read_text())
    return jsonschema.Draft202012Validator(schema, registry=definitions(folder))


@functools.cache
def definitions(folder):
    text = (folder / "_definitions.json").read_text()
    resource = Resource.from_contents(json.loads(text), default_specification=DRAFT202012)
    return Registry().with_resource("_definitions.json", resource).crawl()


def problems(document, version):
    found = validator(version, document["apiVersion"], document["kind"]).iter_errors(document)
    return [f"{key(document)} {'.'.join(map(str, e.absolute_path))}: {e.message}" for e in found]


def custom_problems(documents):
    if not NODE_MODULES.exists():
        pytest.skip("there are no schemas of custom resources: scripts/setup.sh helm brings them")
    node = ROOT / ".deps" / "venv" / "bin" / "node"
    node = str(node) if node.exists() else shutil.which("node")
    script = pathlib.Path(__file__).parent / "validate_custom.mjs"
    done = subprocess.run([node, script, NODE_MODULES], input=json.dumps(documents),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [f"{key(d)} {error}" for d, errors in zip(documents, json.loads(done.stdout))
            for error in errors]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_document(name, version):
    values = (SCENARIOS if version == NEWEST else UNTIL_1_33)[name]
    documents = [d for d in render_all(values, version) if not is_custom(d)]
    assert [p for d in documents for p in problems(d, version)] == []


def test_names_that_yaml_takes_for_something_else():
    odd = {
        "models": {"on": {"source": "hf://1/2@3", "servedNames": ["1e3"]},
                   "null": {"source": "pvc://123/456"}},
        "image": {"pullSecrets": ["123"]}, "apiKeys": {"existingSecret": "123"},
        "gateway": {"priorityClassName": "123", "nodeSelector": {"a": "true"}},
        "worker": {"runtimeClassName": "123"},
        "modelPull": {"cacheClaim": "123", "tokenSecret": {"name": "123", "key": "1"}},
        "tls": {"mode": "secret", "existingSecret": "123"},
        "ingress": {"enabled": True, "hosts": ["123"], "className": "123", "tlsSecret": "123"},
        "tests": {"question": "yes", "apiKeySecret": {"name": "123", "key": "1"},
                  "caSecret": {"name": "123", "key": "1"}},
    }
    documents = [d for d in render_all(odd) if not is_custom(d)]
    assert [p for d in documents for p in problems(d, NEWEST)] == []


def test_operators_take_every_document():
    documents = [d for values in SCENARIOS.values() for d in render_all(values) if is_custom(d)]
    assert {d["kind"] for d in documents} == {
        "Certificate", "Issuer", "HTTPRoute", "ScaledObject", "PodMonitor", "PrometheusRule"}
    assert custom_problems(documents) == []


def test_these_validators_find_mistakes():
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                  "spec": {"selector": {}, "replica": 1, "template": {
                      "spec": {"containers": [{"name": "c", "ports": [{"containerPort": "x"}]}]}}}}
    found = "\n".join(problems(deployment, NEWEST))
    assert "'replica' was unexpected" in found and "'x' is not" in found
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "s"},
              "spec": {"scaleTargetRef": {"name": "d"}, "triggers": [
                  {"type": "prometheus", "metadata": {"threshold": 1}, "metricTypes": "Value"}]}}
    found = "\n".join(custom_problems([scaled]))
    assert "/spec/triggers/0/metadata/threshold" in found
    assert "/spec/triggers/0/metricTypes: unknown field" in found


def test_every_template_renders_somewhere():
    rendered = {line.removeprefix("# Source: weft/") for values in SCENARIOS.values()
                for line in render_text(values).splitlines() if line.startswith("# Source: ")}
    templates = {str(p.relative_to(CHART)) for p in (CHART / "templates").glob("**/*.yaml")}
    if not list((CHART / "files" / "dashboards").glob("*.json")):
        templates.discard("templates/monitoring/dashboards.yaml")
    assert rendered == templates


@pytest.mark.parametrize("name", SCENARIOS)
def test_names_are_unique(name):
    documents = render_all(SCENARIOS[name])
    keys = [key(d) for d in documents]
    assert len(keys) == len(set(keys))


def test_long_names_fit():
    values = {"fullnameOverride": "w" * 60, "models": {"m" * 20: {"source": "pvc://models"}},
              "apiKeys": {"required": False}}
    for document in render_all(values):
        kind, name = key(document)
        assert len(name) <= (63 if kind in ("Service", "Pod") else 253), (kind, name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_everything_says_whose_it_is(name):
    for document in render_all(SCENARIOS[name]):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "weft", key(document)
        assert labels["app.kubernetes.io/instance"] == "weft"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("weft-")
