"""Real processes with the chart's own arguments, certificates' names, keys, Lease and rights."""

import contextlib
import hashlib
import http.client
import json
import re
import signal
import subprocess

import kube_api
import pytest
import stack
from certificates import Authority
from rendering import render_all

KEY = "sk-chart"
VALUES = {
    "models": {"demo": {"source": "pvc://models", "servedNames": ["demo"]}},
    "gateway": {"drainDelay": 1},
    "worker": {"device": "cpu", "flags": {"dtype": "float32"}},
    "apiKeys": {"entries": [
        {"name": "a", "key": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}]},
}
# The chart's, which are those of pods of their own.
PORTS = {"gateway": ("port", "grpc-port", "admin-port"), "scheduler": ("port", "admin-port"),
         "worker": ("admin-port",)}


class GuardedKubeApi(kube_api.KubeApi):
    """Lets pass what the Role does."""

    def __init__(self, folder, manifests):
        super().__init__(folder)
        rule, = manifests.get("Role", "demo-scheduler")["rules"]
        verbs = {"GET": "get", "PUT": "update", "POST": "create"}

        class Handler(self.RequestHandlerClass):
            def handle_request(self):
                name = self.path.rpartition("/")[2]
                if verbs[self.command] in rule["verbs"] and name in rule["resourceNames"]:
                    return super().handle_request()
                return self.refuse(403, "Forbidden", "the Role does not say so")

            do_GET = do_POST = do_PUT = handle_request

        self.RequestHandlerClass = Handler
        lease = json.loads(json.dumps(manifests.get("Lease", "demo-scheduler")))
        lease["metadata"] |= {"namespace": "weft", "resourceVersion": "0"}
        self.leases[lease["metadata"]["name"]] = lease


class Pods:
    """What would be pods: a process each, on this machine instead of addresses of their own."""

    def __init__(self, folder, bin_dir, model):
        self.folder, self.bin_dir, self.model = folder, bin_dir, model
        self.manifests = render_all(VALUES)
        account = folder / "account"
        account.mkdir()
        self.api = GuardedKubeApi(account, self.manifests)
        self.keys = folder / "keys.json"
        self.keys.write_text(self.manifests.get("Secret", "api-keys")["stringData"]["keys.json"])
        authority = Authority(folder / "authority")
        for part in ("gateway", "demo-scheduler", "demo-worker"):
            names = self.manifests.spec("Certificate", f"{part}-peer-tls")["dnsNames"]
            authority.issue(folder / part, [f"DNS:{name}" for name in names])
        self.ports, self.processes = {}, {}
        for pod in ("gateway", "scheduler", "standby", "worker"):
            tier = "scheduler" if pod == "standby" else pod
            self.ports[pod] = dict(zip(PORTS[tier], stack.free_ports(len(PORTS[tier]))))

    def arguments(self, part, pod):
        ports = self.ports[pod]
        schedulers = ",".join(f"127.0.0.1:{self.ports[s]['port']}" for s in ("scheduler", "standby"))
        for argument in self.manifests.args(part):
            name, _, value = argument.removeprefix("--").partition("=")
            if name in ports:
                value = str(ports[name])
            value = (value.replace("0.0.0.0", "127.0.0.1").replace("/models/demo", str(self.model))
                     .replace("/etc/weft/api-keys/keys.json", str(self.keys))
                     .replace("/etc/weft/peer-tls", str(self.folder / part))
                     .replace("$(POD_IP):7000", f"127.0.0.1:{ports.get('port')}")
                     # Which stands for all schedulers of the group.
                     .replace("weft-demo-scheduler.serving.svc:7000", schedulers))
            yield f"--{name}={value}"
        if part == "demo-scheduler":
            yield f"--kube-api={self.api.url}"
            yield f"--kube-account={self.api.account}"

    def start(self, part, pod=None):
        pod = pod or part.removeprefix("demo-")
        image = self.manifests.container(part)["image"]
        binary = re.match(r"(weft-(?:gateway|scheduler|worker))", image)[1]
        with (self.folder / f"{pod}.log").open("w") as log:
            self.processes[pod] = subprocess.Popen(
                [self.bin_dir / binary, *self.arguments(part, pod)], stdout=log,
                stderr=subprocess.STDOUT, preexec_fn=stack.die_with_us)

    def logs(self):
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def get(self, pod, path):
        return stack.get(self.ports[pod]["admin-port"], path)

    def probe(self, pod):
        """What the kubelet's readiness probe would see."""
        container = self.manifests.container("gateway" if pod == "gateway" else "demo-worker")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get(pod, container["readinessProbe"]["httpGet"]["path"])[0]
        return None

    def become(self, pod, status, limit_s=30):
        assert stack.eventually(lambda: self.probe(pod) == status, limit_s), (pod, self.logs())

    def replace(self, part, pod):
        """As the kubelet ends a pod: preStop, then SIGTERM, then grace."""
        spec = self.manifests.pod(part)
        hook = spec["containers"][0]["lifecycle"]["preStop"]["httpGet"]
        assert self.get(pod, hook["path"])[0] == 202
        process = self.processes.pop(pod)
        process.send_signal(signal.SIGTERM)
        assert process.wait(spec["terminationGracePeriodSeconds"]) == 0, self.logs()

    def ask(self, key=KEY):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["gateway"]["port"], timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/completions", json.dumps(
                {"model": "demo", "prompt": "17 + 25 =", "max_tokens": 4}),
                {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
            return connection.getresponse().status

    def __enter__(self):
        self.api.__enter__()
        return self

    def __exit__(self, *exception):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.api.__exit__(*exception)


@pytest.fixture
def pods(tmp_path, bin_dir, demo_model):
    with Pods(tmp_path, bin_dir, demo_model) as started:
        yield started


def test_they_find_and_believe_each_other_and_are_replaced(pods):
    pods.start("demo-scheduler")
    # A leader without workers is not ready, and is found all the same.
    pods.become("scheduler", 503)
    pods.start("demo-scheduler", "standby")
    pods.become("standby", 200)
    pods.start("demo-worker")
    pods.start("gateway")
    for pod in ("worker", "scheduler", "gateway"):
        pods.become(pod, 200)
    assert pods.ask() == 200, pods.logs()
    assert pods.ask("another") == 401

    # A rollout of the leader: the one that stands by leads, and the new one stands by.
    pods.replace("demo-scheduler", "scheduler")
    log = pods.folder / "standby.log"
    assert stack.eventually(lambda: "leads, term" in log.read_text(), 10), pods.logs()
    assert stack.eventually(lambda: pods.ask() == 200, 15), pods.logs()
    pods.start("demo-scheduler")
    pods.become("scheduler", 200)
    for part in ("demo-worker", "gateway"):
        pod = part.removeprefix("demo-")
        pods.replace(part, pod)
        pods.start(part)
        pods.become(pod, 200)
    assert pods.ask() == 200, pods.logs()
