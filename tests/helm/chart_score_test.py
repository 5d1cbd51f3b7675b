"""kube-score has nothing to say against the chart but what is explained here."""

import json
import shutil
import subprocess

import pytest
from rendering import ROOT, render_text
from scenarios import SCENARIOS

# Checks that are answered, each with the reason.
ANSWERED = {
    "Container Image Pull Policy": "tags are versions, and nodes keep them; image.pullPolicy is a value",
    "Container Ephemeral Storage Request and Limit":
        "what pods write are emptyDirs, bounded by themselves; a model's size is the user's to know",
    "Deployment has host PodAntiAffinity": "topologySpread does that, and keeps pods schedulable",
}
# A limit of CPU makes a process wait in the middle of a step.
IGNORED = ["--ignore-container-cpu-limit"]
# Beside the usual ones.
OPTIONAL = ["container-seccomp-profile", "container-ports-check", "pod-topology-spread-constraints"]
SCALED = {"Deployment Replicas": "KEDA scales, which kube-score does not know"}
EXPECTED = {name: {} for name in SCENARIOS} | {
    "cpu-demo": {"Deployment Replicas": "it is one gateway and one scheduler, to look at"},
    "everything": SCALED,
    "shared-issuer": SCALED | {"Pod NetworkPolicy": "networkPolicy.enabled is false there"},
}


def findings(text):
    own = ROOT / ".deps" / "helm" / "kube-score"
    score = str(own) if own.exists() else shutil.which("kube-score")
    if score is None:
        pytest.skip("there is no kube-score: scripts/setup.sh helm brings it")
    options = [f"--enable-optional-test={test}" for test in OPTIONAL] + IGNORED
    done = subprocess.run([score, "score", "--output-format=json", *options, "-"], input=text,
                          capture_output=True, text=True, check=False)
    for scored in json.loads(done.stdout):
        for check in scored["checks"]:
            if check["grade"] < 10 and not check["skipped"]:
                comments = [f'{c["path"]}: {c["summary"]}' for c in check["comments"] or []]
                yield check["check"]["name"], f'{scored["object_name"]}: {"; ".join(comments)}'


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_unexplained_finding(name):
    answered = ANSWERED | EXPECTED[name]
    assert [f for f in findings(render_text(SCENARIOS[name])) if f[0] not in answered] == []


def test_every_explanation_is_needed():
    found = {name: {check for check, _ in findings(render_text(values))}
             for name, values in SCENARIOS.items()}
    assert set(ANSWERED) <= set.union(*found.values())
    for name, expected in EXPECTED.items():
        assert set(expected) <= found[name], name
