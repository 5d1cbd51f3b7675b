"""Every pod passes the restricted profile of pod security, and holds to more than that."""

import pytest
from rendering import containers, render, render_all
from scenarios import SCENARIOS

RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
                      "persistentVolumeClaim", "projected", "secret", "image"}


def violations(pod):
    """Of the restricted profile, with its controls' names."""
    security = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"host namespaces: {field}"
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= RESTRICTED_VOLUMES:
            yield f"volume types: {kinds}"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccomp"
    if security.get("runAsUser") == 0 or not security.get("runAsNonRoot"):
        yield "running as non-root"
    if security.get("sysctls"):
        yield "sysctls"
    for container in containers(pod):
        own = container["securityContext"]
        if own.get("privileged"):
            yield "privileged containers"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "privilege escalation"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield "capabilities"
        if own.get("procMount") or own.get("seLinuxOptions") or own.get("appArmorProfile"):
            yield "host's security modules"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "host ports"


@pytest.mark.parametrize("name", ["cpu-demo", "one-gpu", "two-models-ha"])
def test_restricted_pod_security_passes(name):
    for pod, _, spec in render_all(SCENARIOS[name]).pods():
        assert list(violations(spec)) == [], pod


def test_only_a_folder_of_the_node_breaks_it():
    manifests = render({"models": {"r1": {"source": "file:///srv/r1"}}})
    found = {v for _, _, spec in manifests.pods() for v in violations(spec)}
    assert found == {"volume types: {'hostPath'}"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_more_than_restricted(name):
    for pod, _, spec in render_all(SCENARIOS[name]).pods():
        assert spec["securityContext"]["runAsUser"] >= 10000, pod
        assert spec["securityContext"]["runAsGroup"] >= 10000, pod
        for container in containers(spec):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod
            # Entry points alone: no image needs a shell.
            assert "command" not in container, pod
            assert container["resources"]["limits"]["memory"], pod
            assert container["resources"]["requests"]["cpu"], pod


@pytest.mark.parametrize("name", SCENARIOS)
def test_services_become_no_flags(name):
    """A Service named weft would set WEFT_PORT, which the binaries read as --port."""
    for pod, _, spec in render_all(SCENARIOS[name]).pods():
        assert spec["enableServiceLinks"] is False, pod


@pytest.mark.parametrize("name", SCENARIOS)
def test_only_schedulers_have_a_token(name):
    for pod, labels, spec in render_all(SCENARIOS[name]).pods():
        is_scheduler = labels["app.kubernetes.io/component"] == "scheduler"
        assert spec.get("automountServiceAccountToken", True) == is_scheduler, pod


def test_a_scheduler_may_touch_its_own_lease_alone():
    manifests = render_all(SCENARIOS["two-models-ha"])
    for group in ("r1-7b", "math-7b"):
        name = f"{group}-scheduler"
        assert manifests.get("Role", name)["rules"] == [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": [f"weft-{name}"], "verbs": ["get", "update"]}]
        # It need not be created by the scheduler: that right could not be kept to a name.
        assert manifests.get("Lease", name)
        binding = manifests.get("RoleBinding", name)
        assert binding["roleRef"]["name"] == f"weft-{name}"
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": f"weft-{name}", "namespace": "serving"}]
        assert manifests.pod(name)["serviceAccountName"] == f"weft-{name}"
    assert not manifests.of("ClusterRole") and not manifests.of("ClusterRoleBinding")


@pytest.mark.parametrize("name", SCENARIOS)
def test_secrets_are_mounted_for_the_group_alone(name):
    for pod, _, spec in render_all(SCENARIOS[name]).pods():
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, pod
                assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]
        for container in containers(spec):
            for mount in container.get("volumeMounts", []):
                # What is written: what is fetched, while it is fetched, and a worker's /tmp.
                writable = {"/pulled"} if container["name"].startswith("pull-") else {"/tmp"}
                assert mount.get("readOnly", False) or mount["mountPath"] in writable, (pod, mount)
