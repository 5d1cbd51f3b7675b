"""TLS between the tiers: who is let in, and certificates that change under open streams."""

import signal
import subprocess

import pytest
import stack
import streams
from certificates import Authority

NAMES = {"scheduler": ["DNS:scheduler.weft", "IP:127.0.0.1"], "gateway": ["DNS:gateway.weft"],
         "worker": ["URI:spiffe://weft/worker", "DNS:worker.weft"]}
ROLES = ["--peer-gateway-name=gateway.weft", "--peer-worker-name=spiffe://weft/worker"]


def files(folder):
    return [f"--peer-tls-cert={folder}/tls.crt", f"--peer-tls-key={folder}/tls.key",
            f"--peer-tls-ca={folder}/ca.crt"]


class SecuredTiers(stack.Tiers):
    def __init__(self, bin_dir, model, folder):
        self.authority = Authority(folder / "authority")
        self.certificates = folder
        for tier in NAMES:
            self.renew(tier)
        super().__init__(bin_dir, model, {
            "scheduler": [*files(folder / "scheduler"), *ROLES],
            "worker": [*files(folder / "worker"), "--backend=simulated",
                       "--peer-scheduler-name=scheduler.weft"],
            "gateway": files(folder / "gateway")})

    def renew(self, tier):
        self.authority.issue(self.certificates / tier, NAMES[tier])


@pytest.fixture
def tiers(bin_dir, tiny_model, tmp_path):
    with SecuredTiers(bin_dir, tiny_model, tmp_path) as secured:
        yield secured
        secured.stop()


def test_certificates_change_under_open_streams(tiers):
    readers = streams.Readers(tiers, max_tokens=2000)
    readers.wait_for_tokens(10)
    for tier in NAMES:
        tiers.renew(tier)
    # Who joins now shows the new certificate, and is shown the scheduler's new one.
    tiers.add_worker("worker2")
    tiers.start_tier("worker2")
    assert stack.eventually(lambda: tiers.ready("worker2"), 20), tiers.log()[-3000:]
    readers.join()
    for text, error in zip(readers.texts, readers.broken):
        streams.choice_of(text, error)


@pytest.mark.parametrize("tier, names, says", [
    ("gateway", ["DNS:worker.weft"], "this is for a gateway"),
    ("worker", ["DNS:gateway.weft"], "this is for a worker"),
])
def test_a_certificate_of_another_role_is_not_let_in(tiers, tier, names, says):
    tiers.kill_tier(tier, signal.SIGTERM)
    tiers.authority.issue(tiers.certificates / tier, names)
    tiers.start_tier(tier)
    assert stack.eventually(lambda: says in tiers.log(), 10), tiers.log()[-3000:]
    assert not tiers.ready(tier)


def test_a_certificate_of_another_authority_is_not_let_in(tiers):
    tiers.kill_tier("worker", signal.SIGTERM)
    theirs = Authority(tiers.certificates / "another")
    theirs.issue(tiers.certificates / "worker", NAMES["worker"])
    (tiers.certificates / "worker" / "ca.crt").write_bytes(tiers.authority.cert.read_bytes())
    before = len(tiers.log())
    tiers.start_tier("worker")
    assert stack.eventually(lambda: "no scheduler at" in tiers.log()[before:], 10)
    assert not tiers.ready("worker")


def test_a_scheduler_of_another_name_is_not_believed(tiers):
    tiers.kill_tier("worker", signal.SIGTERM)
    tiers.tier_flags["worker"][-1] = "--peer-scheduler-name=another.weft"
    before = len(tiers.log())
    tiers.start_tier("worker")
    assert stack.eventually(lambda: "no scheduler at" in tiers.log()[before:], 10)
    assert not tiers.ready("worker")


@pytest.mark.parametrize("binary, flags, says", [
    ("weft-scheduler", ["--host=0.0.0.0"], "--host 0.0.0.0:7000 reaches beyond this machine"),
    ("weft-worker", ["--scheduler=elsewhere:7000"], "--scheduler elsewhere:7000 reaches beyond"),
    ("weft-scheduler", ["--peer-worker-name=w"], "names in certificates"),
    ("weft-worker", ["--peer-tls-cert=/nowhere", "--peer-tls-key=/nowhere", "--peer-tls-ca=/nowhere"],
     "--peer-tls-cert /nowhere"),
])
def test_plaintext_between_machines_is_asked_for(bin_dir, tiny_model, binary, flags, says):
    model = [f"--model={tiny_model}"] if binary == "weft-worker" else []
    done = subprocess.run([bin_dir / binary, *model, *flags, "--admin-port=0"], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr
