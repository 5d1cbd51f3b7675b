"""Real processes on free ports, their logs, metrics and state.

    with Stack(bin_dir, model, ["--dtype", "float32"]) as stack:
        stack.client().chat.completions.create(...)
        stack.expect_idle()

Served is one `weft serve`; Tiers are the three binaries, each started alone.
"""

import contextlib
import ctypes
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

import openai

TIERS = ("scheduler", "worker", "gateway")
# Loading a small model takes one or two seconds; a loaded machine takes longer.
START_LIMIT_S = 60
# What is promised for freed blocks.
IDLE_LIMIT_S = 1.0
# The scheduler's metrics follow its state that often.
GAUGE_LAG_S = 0.25


def free_ports(count):
    """Different free ports below the kernel's ephemeral ones, which outgoing connections take."""
    ports = []
    while len(ports) < count:
        port = 10000 + int.from_bytes(os.urandom(2), "little") % 10000
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def die_with_us():
    """In a child, before exec: pytest may be killed, and nothing may stay behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def eventually(condition, limit_s, interval_s=0.02):
    """Calls until it gives something true, which is returned; the last value after the limit."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(interval_s)


def seconds_until(condition, limit_s):
    """How long it takes to become true; AssertionError after the limit."""
    began = time.monotonic()
    assert eventually(condition, limit_s, 0.01), f"not within {limit_s} s"
    return time.monotonic() - began


def parse_exposition(text):
    """Prometheus text to {(name, ((label, value), ...)): number}; AssertionError if malformed."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge", "histogram"), line
            assert name not in types, f"declared twice: {line}"
            types[name] = kind
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)', line)
        assert match, f"not a sample: {line!r}"
        name, labels, value = match.groups()
        pairs = tuple(sorted(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', labels or "")))
        key = (name, pairs)
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in types or types.get(family) == "histogram", f"no TYPE: {line}"
    return samples, types


class Samples:
    def __init__(self, samples):
        self.samples = samples

    def sum(self, name, **labels):
        """Over every series of that name that has these labels; None if there is none."""
        found = [value for (sample, pairs), value in self.samples.items()
                 if sample == name and set(labels.items()) <= set(pairs)]
        return sum(found) if found else None


def get(port, path):
    """A plain GET: (status, headers, text)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def children(parent):
    """The process ids of a process's children that live."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def command_line(pid):
    """Its words; none if it is gone."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return [""]


def process_ids(parent):
    """{binary's name: pid} of a process's children."""
    return {os.path.basename(command_line(pid)[0]): pid for pid in children(parent)}


def is_running(pid):
    with contextlib.suppress(OSError):
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z"
    return False


def num_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid):
    """The most that it has had in memory at once."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status) or re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024


class Stack:
    """What both ways of starting have in common. Subclasses set `pids`."""

    def __init__(self, bin_dir, model, flags, name):
        self.bin_dir = bin_dir
        self.model = pathlib.Path(model)
        self.flags = list(flags)
        self.served_name = name or self.model.name
        (self.port, self.grpc_port, self.scheduler_port, *admin) = free_ports(6)
        self.admin_ports = dict(zip(TIERS, admin))
        self.folder = tempfile.TemporaryDirectory(prefix="weft-e2e-")
        self.log_path = pathlib.Path(self.folder.name) / "log"
        self.baseline = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def grpc_address(self):
        return f"127.0.0.1:{self.grpc_port}"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def client(self, **options):
        # A retry would hide what a test looks for.
        options = {"max_retries": 0, "timeout": 60, **options}
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", **options)

    def async_client(self, **options):
        options = {"max_retries": 0, "timeout": 60, **options}
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="unused", **options)

    def pids(self):
        raise NotImplementedError

    # ---- metrics ----

    def exposition(self, tier):
        status, headers, text = get(self.admin_ports[tier], "/metrics")
        assert status == 200
        return headers, text

    def metrics(self, tier):
        return Samples(parse_exposition(self.exposition(tier)[1])[0])

    def metric(self, tier, name, **labels):
        return self.metrics(tier).sum(name, **labels)

    def blocks(self, state):
        return self.metric("scheduler", "weft_scheduler_kv_blocks", state=state)

    def ready(self, tier):
        with contextlib.suppress(OSError):
            return get(self.admin_ports[tier], "/readyz")[0] == 200
        return False

    # ---- invariants ----

    def remember_baseline(self):
        """What the processes hold when they have served and rest."""
        with self.client() as client:
            client.completions.create(model=self.served_name, prompt="a", max_tokens=1)
        eventually(lambda: not self.busy(), 5)
        time.sleep(0.2)
        self.baseline = {tier: num_descriptors(pid) for tier, pid in self.pids().items()}

    def busy(self):
        """What contradicts rest, in words; empty if nothing does."""
        scheduler, gateway = self.metrics("scheduler"), self.metrics("gateway")
        used = scheduler.sum("weft_scheduler_kv_blocks", state="used")
        running = scheduler.sum("weft_scheduler_requests_running")
        waiting = scheduler.sum("weft_scheduler_requests_waiting")
        in_flight = gateway.sum("weft_gateway_requests_in_flight")
        words = []
        if used != 0:
            words.append(f"{used} KV blocks used")
        if in_flight != 0:
            words.append(f"{in_flight} requests in flight in the gateway")
        if running or waiting:
            words.append(f"{running} running, {waiting} waiting in the scheduler")
        return ", ".join(words)

    def expect_rest(self, limit_s=IDLE_LIMIT_S):
        """I2: no block in use, nothing in flight."""
        assert eventually(lambda: not self.busy(), limit_s), self.busy()

    def expect_idle(self, limit_s=IDLE_LIMIT_S):
        """I2 and I3: at rest, and once its clients have gone, descriptors as before."""
        self.expect_rest(limit_s)
        for tier, pid in self.pids().items():
            before = self.baseline.get(tier)
            if before is None:
                continue
            as_before = eventually(lambda pid=pid, before=before: num_descriptors(pid) <= before, 3)
            assert as_before, f"{tier}: {num_descriptors(pid)} descriptors, {before} before"

    # ---- life ----

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.kill()
            raise

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.stop()
        finally:
            if kind is not None:
                print(f"---- log of {self.served_name}, its end ----\n" + self.log()[-6000:])
            self.kill()
            self.folder.cleanup()


class Served(Stack):
    """One `weft serve`."""

    def __init__(self, bin_dir, model, flags=(), name="", environment=None):
        super().__init__(bin_dir, model, flags, name)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.last_pids = {}

    def command(self):
        return [str(self.bin_dir / "weft"), "serve", str(self.model),
                "--served-model-name", self.served_name,
                "--port", str(self.port), "--grpc-port", str(self.grpc_port),
                "--scheduler-port", str(self.scheduler_port),
                *(word for tier, port in self.admin_ports.items()
                  for word in (f"--{tier}-admin-port", str(port))),
                *self.flags]

    def launch(self):
        self.process = subprocess.Popen(
            self.command(), stdout=open(self.log_path.with_name("out"), "wb"),
            stderr=open(self.log_path, "wb"), env=self.environment, preexec_fn=die_with_us)

    def output(self):
        return self.log_path.with_name("out").read_text()

    def start(self):
        self.launch()
        eventually(lambda: "curl " in self.output() or self.process.poll() is not None,
                   START_LIMIT_S)
        assert self.process.poll() is None, f"ended: {self.process.returncode}\n{self.log()}"
        assert "curl " in self.output(), f"not ready in {START_LIMIT_S} s\n{self.log()}"

    def pids(self):
        found = process_ids(self.process.pid)
        self.last_pids.update({name: pid for name, pid in found.items()})
        return {tier: found[f"weft-{tier}"] for tier in TIERS if f"weft-{tier}" in found}

    def stop(self, number=signal.SIGTERM, limit_s=30):
        """Ends in order; checks that it says success and that nothing is left."""
        if self.process.poll() is None:
            self.pids()
            self.process.send_signal(number)
        assert self.process.wait(limit_s) == 0, self.log()[-3000:]
        self.expect_nothing_left()

    def expect_nothing_left(self):
        left = eventually(lambda: not any(map(is_running, self.last_pids.values())), 3)
        assert left, f"still running: {self.last_pids}"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Tiers(Stack):
    """The three binaries, each by itself, so that each can die alone."""

    def __init__(self, bin_dir, model, flags=None, name=""):
        super().__init__(bin_dir, model, (), name)
        self.tier_flags = flags or {}
        self.tiers = TIERS
        self.schedulers = {"scheduler": self.scheduler_port}
        self.via = {}  # by tier: where it dials the scheduler, if not directly
        self.processes = {}

    def command(self, tier):
        address = self.via.get(
            tier, ",".join(f"127.0.0.1:{port}" for port in self.schedulers.values()))
        if tier in self.schedulers:
            binary, own = "weft-scheduler", ["--host=127.0.0.1", f"--port={self.schedulers[tier]}"]
        else:
            kind = tier.rstrip("0123456789")
            binary, own = f"weft-{kind}", self.client_flags(kind, address)
        return [str(self.bin_dir / binary), *own, "--admin-host=127.0.0.1",
                f"--admin-port={self.admin_ports[tier]}", *self.tier_flags.get(tier, [])]

    def client_flags(self, tier, address):
        return {
            "worker": [f"--model={self.model}", f"--scheduler={address}"],
            "gateway": [f"--model={self.model}", f"--served-model-name={self.served_name}",
                        f"--scheduler={address}", "--host=127.0.0.1", f"--port={self.port}",
                        f"--grpc-port={self.grpc_port}"],
        }[tier]

    def add_worker(self, tier):
        self.tiers = (*self.tiers, tier)
        [self.admin_ports[tier]] = free_ports(1)
        self.tier_flags[tier] = self.tier_flags.get("worker", [])

    def start_tier(self, tier):
        self.processes[tier] = subprocess.Popen(self.command(tier), stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL,
                                                stderr=open(self.log_path, "ab"),
                                                preexec_fn=die_with_us)

    def start(self):
        for tier in self.tiers:
            self.start_tier(tier)
        self.wait_ready()

    def wait_ready(self):
        assert eventually(lambda: self.ready("gateway"), START_LIMIT_S), self.log()[-3000:]

    def pids(self):
        return {tier: process.pid for tier, process in self.processes.items()
                if process.poll() is None}

    def kill_tier(self, tier, number=signal.SIGKILL):
        self.processes[tier].send_signal(number)
        return self.processes[tier].wait(30)

    def stop(self):
        for tier in reversed(self.tiers):
            if self.processes[tier].poll() is None:
                assert self.kill_tier(tier, signal.SIGTERM) == 0, (tier, self.log()[-3000:])

    def kill(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


class TiersWithStandby(Tiers):
    """With a second scheduler that stands by."""

    def __init__(self, bin_dir, model, flags=None, name="", election=None):
        super().__init__(bin_dir, model, flags, name)
        self.tiers = ("scheduler", "standby", "worker", "gateway")
        self.schedulers["standby"], self.admin_ports["standby"] = free_ports(2)
        election = election or [f"--election=file:{self.folder.name}/leader"]
        for tier in self.schedulers:
            self.tier_flags[tier] = [*election, *self.tier_flags.get(tier, [])]

    def start(self):
        self.start_tier("scheduler")  # it shall lead first
        assert eventually(lambda: "leads, term" in self.log(), 10), self.log()[-3000:]
        for tier in self.tiers[1:]:
            self.start_tier(tier)
        self.wait_ready()
