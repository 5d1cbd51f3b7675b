"""Mutual TLS between the tiers: who has which certificate, and whom each expects."""

import pytest
from rendering import flag, render, render_all
from scenarios import SCENARIOS

TWO = {"models": {"r1": {"source": "pvc://models"}, "math": {"source": "pvc://math"}}}
PARTS = ["gateway", "r1-scheduler", "r1-worker", "math-scheduler", "math-worker"]


def secret_of(manifests, part):
    volume, = [v for v in manifests.pod(part)["volumes"] if v["name"] == "peer-tls"]
    return volume["secret"]["secretName"]


def names(manifests, part):
    """In the certificate that the part shows."""
    certificate, = [c["spec"] for c in manifests.of("Certificate")
                    if c["spec"]["secretName"] == secret_of(manifests, part)]
    return certificate["dnsNames"]


def test_each_tier_shows_the_name_that_its_peers_expect():
    manifests = render(TWO)
    for group in ("r1", "math"):
        scheduler = manifests.args(f"{group}-scheduler")
        assert flag(scheduler, "peer-gateway-name")[0] in names(manifests, "gateway")
        assert flag(scheduler, "peer-worker-name")[0] in names(manifests, f"{group}-worker")
        expected = flag(manifests.args(f"{group}-worker"), "peer-scheduler-name")[0]
        assert expected in names(manifests, f"{group}-scheduler")
        # What gateways ask of every group's scheduler.
        assert flag(manifests.args("gateway"), "peer-scheduler-name")[0] in names(
            manifests, f"{group}-scheduler")


def test_a_worker_of_another_group_is_a_stranger():
    manifests = render(TWO)
    expected = flag(manifests.args("r1-scheduler"), "peer-worker-name")[0]
    for part in ("math-worker", "math-scheduler", "r1-scheduler", "gateway"):
        assert expected not in names(manifests, part)
    expected = flag(manifests.args("r1-worker"), "peer-scheduler-name")[0]
    assert expected not in names(manifests, "math-scheduler")


def test_certificates_serve_one_direction():
    manifests = render(TWO)
    for part in PARTS:
        spec, = [c["spec"] for c in manifests.of("Certificate")
                 if c["spec"]["secretName"] == secret_of(manifests, part)]
        wanted = "server auth" if part.endswith("scheduler") else "client auth"
        assert spec["usages"] == ["digital signature", wanted], part
        assert "commonName" not in spec  # has at most 64 characters, and nobody looks at it


@pytest.mark.parametrize("mode", ["certManager", "secrets"])
def test_files_are_those_of_the_secret(mode):
    manifests = render(TWO, {"peerTLS": {"mode": mode}})
    for part in PARTS:
        args = manifests.args(part)
        assert flag(args, "peer-tls-cert") == ["/etc/weft/peer-tls/tls.crt"]
        assert flag(args, "peer-tls-key") == ["/etc/weft/peer-tls/tls.key"]
        assert flag(args, "peer-tls-ca") == ["/etc/weft/peer-tls/ca.crt"]
        assert secret_of(manifests, part) == f"weft-{part}-peer-tls"
    assert bool(manifests.of("Certificate")) == (mode == "certManager")


def test_plaintext_only_when_asked_for():
    for name, values in SCENARIOS.items():
        manifests = render_all(values)
        wants = values.get("peerTLS", {}).get("mode") == "plaintext"
        for pod, labels, spec in manifests.pods():
            if labels["app.kubernetes.io/component"] != "test":
                args = spec["containers"][0]["args"]
                assert ("--plaintext-peers" in args) == wants, (name, pod)
                assert bool(flag(args, "peer-tls-cert")) != wants
                assert any(a.startswith("--peer-") for a in args) != wants


def test_the_releases_own_authority():
    manifests = render(TWO)
    authority = manifests.spec("Certificate", "peer-ca")
    assert authority["isCA"] is True
    assert authority["issuerRef"]["name"] == "weft-peer-ca-self-signed"
    assert manifests.spec("Issuer", "peer-ca-self-signed") == {"selfSigned": {}}
    assert manifests.spec("Issuer", "peer-ca") == {"ca": {"secretName": authority["secretName"]}}
    for part in PARTS:
        assert manifests.spec("Certificate", f"{part}-peer-tls")["issuerRef"] == {
            "name": "weft-peer-ca", "kind": "Issuer", "group": "cert-manager.io"}


def test_another_authority():
    issuer = {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    manifests = render(TWO, {"peerTLS": {"issuerRef": issuer}})
    assert not manifests.of("Issuer")
    assert [c["spec"]["issuerRef"] for c in manifests.of("Certificate")] == [issuer] * len(PARTS)
