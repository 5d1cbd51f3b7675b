"""What of Kubernetes a rollout consists of, for processes of this machine.

A Deployment of the chart's own manifests is run and replaced as its controller would: pods come
and go by the strategy's surge; a pod is ready by its probes; one that is deleted leaves its
Service, gets its preStop and SIGTERM, and is killed when its grace is over. Each pod has an
address of its own in 127.0.0.0/8, so that ports and flags are those of the manifest.

What has no meaning here is left out: images, volumes, certificates, keys, nodes. A GPU counts: a
pod that wants one waits until one is free.
"""

import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time

import stack

# Until whoever sends requests to a Service has learned of a change.
ENDPOINT_LAG_S = 1.0


def http_get(address, port, path, timeout_s):
    """The status; 0: there was no answer."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Pod:
    def __init__(self, deployment, name, address):
        self.deployment, self.name, self.address = deployment, name, address
        self.container = deployment.container
        self.grace_s = deployment.pod["terminationGracePeriodSeconds"]
        self.is_ready = False
        self.deleted_at = None
        self.exit_code = None
        self.took_to_end_s = None
        self.over = threading.Event()
        self.process = deployment.cluster.launch(deployment.command(self), self.log_path)
        self.threads = [threading.Thread(target=self.probe, daemon=True)]
        self.threads[0].start()

    @property
    def log_path(self):
        return pathlib.Path(self.deployment.cluster.folder) / f"{self.name}.log"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def port(self, name):
        return next(p["containerPort"] for p in self.container["ports"] if p["name"] == name)

    def get(self, action, timeout_s):
        target = action["httpGet"]
        return http_get(self.address, self.port(target["port"]), target["path"], timeout_s)

    def metrics(self):
        connection = http.client.HTTPConnection(self.address, self.port("admin"), timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return stack.Samples(stack.parse_exposition(text)[0])

    # ---- as the kubelet does ----

    def probe(self):
        startup, readiness = self.container["startupProbe"], self.container["readinessProbe"]
        while not self.succeeds(startup):
            if self.over.wait(startup["periodSeconds"]):
                return
        num_failures = 0
        while True:
            if self.succeeds(readiness):
                self.is_ready, num_failures = True, 0
            else:
                num_failures += 1
                if num_failures >= readiness["failureThreshold"]:
                    self.is_ready = False
            if self.over.wait(readiness["periodSeconds"]):
                return

    def succeeds(self, probe):
        return 200 <= self.get(probe, probe.get("timeoutSeconds", 1)) < 400

    def delete(self):
        self.deleted_at = time.monotonic()
        self.threads.append(threading.Thread(target=self.terminate, daemon=True))
        self.threads[-1].start()

    def terminate(self):
        self.get(self.container["lifecycle"]["preStop"], self.grace_s)
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0, self.deleted_at + self.grace_s - time.monotonic()))
        if self.process.poll() is None:
            self.process.kill()
        self.exit_code = self.process.wait()
        self.took_to_end_s = time.monotonic() - self.deleted_at
        self.over.set()

    def kill(self):
        self.over.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()


class Deployment:
    """`command(pod)` is the process that stands for the manifest's container."""

    def __init__(self, cluster, manifest, num_replicas, command):
        self.cluster, self.command = cluster, command
        self.name = manifest["metadata"]["name"]
        self.pod = manifest["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        strategy = manifest["spec"]["strategy"]
        assert strategy["type"] == "RollingUpdate"
        self.max_surge = strategy["rollingUpdate"]["maxSurge"]
        self.max_unavailable = strategy["rollingUpdate"]["maxUnavailable"]
        self.num_replicas = num_replicas
        limits = self.container["resources"].get("limits", {})
        self.wants_gpu = any("gpu" in name for name in limits)
        self.pods = []  # all there ever were
        self.num_created = 0

    def living(self):
        """Those that run and have not been told to end."""
        return [pod for pod in self.pods if pod.deleted_at is None]

    def running(self):
        return [pod for pod in self.pods if pod.exit_code is None]

    def create(self):
        """False: there is no node for it yet."""
        if self.wants_gpu and len(self.running()) >= self.num_replicas + self.max_surge:
            return False
        self.num_created += 1
        name = f"{self.name}-{self.num_created}"
        self.pods.append(Pod(self, name, self.cluster.free_address()))
        return True

    def start(self):
        while len(self.living()) < self.num_replicas:
            self.create()

    def is_ready(self):
        return all(pod.is_ready for pod in self.living())

    def roll(self):
        """Replaces every pod; returns once the new ones are ready. Old ones may still end."""
        old = set(self.living())
        while old or len(self.living()) < self.num_replicas or not self.is_ready():
            new = [pod for pod in self.living() if pod not in old]
            if (len(new) < self.num_replicas
                    and len(self.living()) < self.num_replicas + self.max_surge):
                self.create()
            num_available = sum(pod.is_ready for pod in self.living())
            if old and num_available > self.num_replicas - self.max_unavailable:
                pod = min(old, key=lambda pod: pod.is_ready)
                old.remove(pod)
                pod.delete()
            time.sleep(0.05)


class Dns(socketserver.ThreadingUDPServer):
    """Answers every question for an address with those that `addresses(name)` gives."""

    daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            data, sock = self.request
            at, labels = 12, []
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            question = data[12:at + 5]
            wants_ipv4 = struct.unpack(">H", data[at + 1:at + 3])[0] == 1
            found = self.server.addresses(".".join(labels)) if wants_ipv4 else []
            head = data[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0)
            records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4)
                               + socket.inet_aton(address) for address in found)
            sock.sendto(head + question + records, self.client_address)

    def __init__(self, addresses):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.addresses = addresses
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def authority(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Cluster:
    """Runs Deployments until the with block ends."""

    def __init__(self, folder, manifests):
        self.folder = folder
        self.manifests = manifests
        self.deployments = {}
        self.lock = threading.Lock()
        self.network = f"127.{10 + os.urandom(1)[0] % 240}.{os.urandom(1)[0]}"
        self.num_addresses = 0
        self.dns = Dns(self.resolve)
        # A process dies with the thread that has started it: this one stays.
        self.launcher = concurrent.futures.ThreadPoolExecutor(max_workers=1)

    def manifest(self, kind, name):
        [found] = [m for m in self.manifests
                   if m["kind"] == kind and m["metadata"]["name"] == name]
        return found

    def deploy(self, name, command):
        manifest = self.manifest("Deployment", name)
        deployment = Deployment(self, manifest, self.num_replicas(manifest), command)
        self.deployments[name] = deployment
        return deployment

    def num_replicas(self, manifest):
        """The least that an autoscaler keeps, where there is one."""
        for scaler in self.manifests:
            if scaler.get("spec", {}).get("scaleTargetRef", {}).get("name") == \
                    manifest["metadata"]["name"]:
                spec = scaler["spec"]
                return spec.get("minReplicas") or spec["minReplicaCount"]
        return manifest["spec"]["replicas"]

    def launch(self, command, log_path):
        return self.launcher.submit(
            subprocess.Popen, command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(log_path, "wb"), preexec_fn=stack.die_with_us).result()

    def free_address(self):
        with self.lock:
            self.num_addresses += 1
            return f"{self.network}.{self.num_addresses}"

    def resolve(self, host):
        """A headless Service; it has the name of its Deployment."""
        name = host.split(".")[0]
        service = self.manifest("Service", name)["spec"]
        assert service["clusterIP"] == "None"
        takes_all = service.get("publishNotReadyAddresses", False)
        return [pod.address for pod in self.deployments[name].running()
                if takes_all or (pod.is_ready and pod.deleted_at is None)]

    def endpoints(self, name):
        """Whom new connections go to: who is ready and, as far as is known, not ending."""
        known = time.monotonic() - ENDPOINT_LAG_S
        return [pod for pod in self.deployments[name].running()
                if pod.is_ready and (pod.deleted_at is None or pod.deleted_at > known)]

    def pods(self):
        return [pod for deployment in self.deployments.values() for pod in deployment.pods]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.dns.shutdown()
        self.dns.server_close()
        for pod in self.pods():
            pod.kill()
        self.launcher.shutdown()
        for pod in self.pods():
            if kind is not None:
                print(f"---- {pod.name} at {pod.address} ----\n{pod.log()[-3000:]}")
