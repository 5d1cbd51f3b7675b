"""What the chart makes of values: `helm template` and `helm lint`, and ways to look at the result."""

import copy
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "weft"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
RELEASE = "weft"
NAMESPACE = "serving"
# The oldest that the chart takes, and the newest that the schemas know.
OLDEST, NEWEST = "1.27.0", "1.37.0"

# The least that renders.
MINIMAL = {
    "models": {"r1": {"source": "hf://weft/r1@0123abc"}},
    "apiKeys": {"existingSecret": "keys"},
}

# PyYAML's C parser is ten times as fast.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_helm():
    own = ROOT / ".deps" / "helm" / "helm"
    return str(own) if own.exists() else shutil.which("helm")


def _run(command, values, version):
    helm = find_helm()
    if helm is None:
        pytest.skip("there is no helm: scripts/setup.sh helm brings it")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)  # which is YAML, too, with every string in quotes
        file.flush()
        return subprocess.run(
            [helm, *command, "--kube-version", version, "--namespace", NAMESPACE, "-f", file.name],
            capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()})


def merged(*layers):
    """Later ones over earlier ones, as Helm does with values files."""
    result = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def at(path, value):
    """at("gateway.replicas", 3) -> {"gateway": {"replicas": 3}}"""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def example(name):
    return yaml.load((CHART / "examples" / f"{name}.yaml").read_text(), Loader)


def defaults():
    return yaml.load((CHART / "values.yaml").read_text(), Loader)


def lint(values, version=NEWEST):
    """(fails, what helm says)"""
    done = _run(["lint", str(CHART)], values, version)
    return done.returncode != 0, done.stdout + done.stderr


def refusal(values, version=NEWEST):
    """What `helm template` says where it refuses."""
    done = _run(["template", RELEASE, str(CHART)], values, version)
    assert done.returncode != 0, "this renders"
    return done.stderr


@functools.cache
def _template(values, version):
    done = _run(["template", RELEASE, str(CHART)], json.loads(values), version)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def _documents(values, version):
    return [d for d in yaml.load_all(_template(values, version), Loader) if d]


def render_text(values, version=NEWEST):
    return _template(json.dumps(values, sort_keys=True), version)


def render(*layers, version=NEWEST):
    """What MINIMAL with these values over it makes."""
    return render_all(merged(MINIMAL, *layers), version)


def render_all(values, version=NEWEST):
    return Manifests(_documents(json.dumps(values, sort_keys=True), version))


class Manifests(list):
    def of(self, kind):
        return [d for d in self if d["kind"] == kind]

    def get(self, kind, name):
        """`name` without the release's."""
        full = f"{RELEASE}-{name}" if name else RELEASE
        found = [d for d in self.of(kind) if d["metadata"]["name"] == full]
        assert len(found) == 1, f"{len(found)} {kind} {full} among {[key(d) for d in self]}"
        return found[0]

    def has(self, kind, name):
        return any(key(d) == (kind, f"{RELEASE}-{name}") for d in self)

    def spec(self, kind, name):
        return self.get(kind, name)["spec"]

    def pods(self):
        """(name, labels, spec) of every pod that will run."""
        for d in self:
            if d["kind"] == "Deployment":
                template = d["spec"]["template"]
                yield d["metadata"]["name"], template["metadata"]["labels"], template["spec"]
            elif d["kind"] == "Pod":
                yield d["metadata"]["name"], d["metadata"]["labels"], d["spec"]

    def pod(self, name):
        return next(spec for pod, _, spec in self.pods() if pod == f"{RELEASE}-{name}")

    def container(self, name):
        return self.pod(name)["containers"][0]

    def args(self, name):
        return self.container(name)["args"]


def key(document):
    return document["kind"], document["metadata"]["name"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def flag(args, name):
    """The values that a flag is given, in order."""
    return [a.split("=", 1)[1] for a in args if a.startswith(f"--{name}=")]
