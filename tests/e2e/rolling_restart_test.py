"""The drill of an upgrade: what the chart's example of high availability runs, every gateway,
scheduler and worker replaced under open streams, exactly as its manifests say."""

import asyncio
import concurrent.futures
import io
import itertools
import pathlib
import time

import cluster
import httpx
import kube_api
import pytest
import raw
import sse
import stack
import yaml

GOLDEN = pathlib.Path(__file__).parent.parent / "helm" / "golden" / "two-models-ha.yaml"
GROUP = "weft-r1-7b"
MODEL = "deepseek-r1-distill-qwen-7b"
NUM_STREAMS = 200
# 200 streams get some 25 tokens a second each.
WORKER = ["--backend=simulated", "--simulated-gpu=CPU", "--simulated-speed=0.006"]
# Tokens of a stream. Most are short, and followed by another: what a new leader has to compute
# again is then done soon. Each gateway gets some that outlast its drain delay by far.
SHORT, LONG = 75, 600
NUM_LONG = 2


def question(number, max_tokens, **fields):
    return {"model": MODEL, "prompt": f"Number {number} goes on and on:", "temperature": 0.8,
            "max_tokens": max_tokens, "seed": number, "ignore_eos": True, **fields}


@pytest.fixture(scope="module")
def undisturbed_texts(bin_dir, tiny_model):
    """What each stream says when nothing happens."""
    fast = ["--backend", "simulated", "--simulated-speed", "1000"]
    asked = [*((number, SHORT) for number in range(NUM_STREAMS)),
             *((number, LONG) for number in range(NUM_LONG))]
    with stack.Served(bin_dir, tiny_model, fast, name=MODEL) as served, httpx.Client() as client, \
            concurrent.futures.ThreadPoolExecutor(8) as pool:
        def ask(which):
            answer = client.post(f"{served.url}/v1/completions", json=question(*which), timeout=60)
            return answer.json()["choices"][0]["text"]
        return dict(zip(asked, pool.map(ask, asked)))


class Drill:
    """The example's processes of one group, with the flags that the manifests give them."""

    def __init__(self, bin_dir, model, cluster_, api):
        self.bin_dir, self.model, self.cluster, self.api = bin_dir, model, cluster_, api
        self.schedulers = cluster_.deploy(f"{GROUP}-scheduler", self.scheduler)
        self.workers = cluster_.deploy(f"{GROUP}-worker", self.worker)
        self.gateways = cluster_.deploy("weft-gateway", self.gateway)
        # Gateways first: their streams still end while the others are replaced.
        self.deployments = [self.gateways, self.schedulers, self.workers]

    def flags(self, pod, *others):
        """The manifest's, but for what is outside of the drill: certificates, keys, the other
        group's model; and with names and addresses that lead to this machine's processes."""
        outside = ("--peer-", "--tls-", "--api-key-file", "--model=", "--served-model-name=",
                   "--scheduler=", "--log-", *others)
        kept = [flag.replace("0.0.0.0", pod.address).replace("$(POD_IP)", pod.address)
                for flag in pod.container["args"] if not flag.startswith(outside)]
        return [*kept, "--plaintext-peers", f"--served-model-name={MODEL}"]

    def dialled(self, pod):
        """The manifest's name of the group's schedulers, asked of the cluster's DNS."""
        [flag] = [flag for flag in pod.container["args"]
                  if flag.startswith(f"--scheduler={GROUP}-scheduler.")]
        return flag.replace("=", f"=dns://{self.cluster.dns.authority}/")

    def scheduler(self, pod):
        return [self.bin_dir / "weft-scheduler", *self.flags(pod), f"--kube-api={self.api.url}",
                f"--kube-account={self.api.account}"]

    def worker(self, pod):
        return [self.bin_dir / "weft-worker", *self.flags(pod, "--backend="), *WORKER,
                f"--model={self.model}", self.dialled(pod)]

    def gateway(self, pod):
        return [self.bin_dir / "weft-gateway", *self.flags(pod), f"--model={self.model}",
                self.dialled(pod)]

    def start(self):
        for deployment in self.deployments:
            deployment.start()
        assert stack.eventually(lambda: all(d.is_ready() for d in self.deployments),
                                stack.START_LIMIT_S), "the pods do not get ready"

    def replace(self, all_at_once):
        """Every pod, until the last old one has gone. All at once is how `helm upgrade` does it."""
        old = self.cluster.pods()
        with concurrent.futures.ThreadPoolExecutor(len(self.deployments) if all_at_once else 1) \
                as controllers:
            list(controllers.map(cluster.Deployment.roll, self.deployments))
        assert stack.eventually(lambda: all(pod.exit_code is not None for pod in old), 60), \
            "an old pod does not end"
        return old


class Clients:
    """Streams that are always open, one after another, and a trickle of short requests."""

    def __init__(self, drill):
        self.drill = drill
        self.is_over = False
        self.num_open = 0
        self.answers = []  # (number, tokens asked for, everything that came)
        self.gaps = [0.0]  # the longest of each stream
        self.short = []  # (status, seconds)
        self.turn = itertools.count()

    def endpoint(self):
        """As a Service picks; None: nobody is ready."""
        ready = self.drill.cluster.endpoints("weft-gateway")
        return ready[next(self.turn) % len(ready)] if ready else None

    async def ask(self, fields, pod=None):
        """Everything that comes, and the longest pause behind the first piece."""
        pod = pod or self.endpoint()
        assert pod, "the Service has no endpoint"
        reader, writer = await asyncio.open_connection(pod.address, pod.port("http"))
        body = httpx.Request("POST", "http://a", json=fields).content
        writer.write(raw.wire("/v1/completions", body, headers=["Connection: close"]))
        data, gap, last = bytearray(), 0.0, None
        while piece := await reader.read(1 << 16):
            now = time.monotonic()
            gap, last = max(gap, now - (last or now)), now
            data += piece
        writer.close()
        return bytes(data), gap

    async def stream(self, number):
        while not self.is_over:
            self.num_open += 1
            await self.one_stream(number, SHORT)
            self.num_open -= 1

    async def late_stream(self, number, pod):
        """Sent to a gateway that has just been told to end, before that is known everywhere."""
        while pod.deleted_at is None:
            if self.is_over:
                return
            await asyncio.sleep(0.02)
        await self.one_stream(number, LONG, pod)

    async def one_stream(self, number, max_tokens, pod=None):
        fields = question(number, max_tokens, stream=True, stream_options={"include_usage": True})
        data, gap = await self.ask(fields, pod)
        self.answers.append((number, max_tokens, data))
        self.gaps.append(gap)

    async def trickle(self):
        while not self.is_over:
            began = time.monotonic()
            data, _ = await self.ask(question(0, 3))
            self.short.append((read(data), time.monotonic() - began))
            await asyncio.sleep(0.1)

    async def run(self, rollout):
        clients = [asyncio.create_task(self.stream(n)) for n in range(NUM_STREAMS)]
        clients.append(asyncio.create_task(self.trickle()))
        clients += [asyncio.create_task(self.late_stream(n, pod))
                    for pod in self.drill.gateways.living() for n in range(NUM_LONG)]
        try:
            await asyncio.sleep(1)
            assert self.num_open == NUM_STREAMS
            return await asyncio.to_thread(rollout)
        finally:
            self.is_over = True
            await asyncio.gather(*clients)


class Recorded(raw.Connection):
    """What a server has sent."""

    def __init__(self, data):
        self.reader = io.BytesIO(data)


def read(data):
    return Recorded(data).answer()


@pytest.mark.parametrize("how", ["one after another", "all at once"])
def test_every_process_is_replaced_and_no_stream_notices(bin_dir, tiny_model, undisturbed_texts,
                                                         tmp_path, figures, how):
    manifests = [m for m in yaml.safe_load_all(GOLDEN.read_text()) if m]
    with kube_api.KubeApi(tmp_path) as api, cluster.Cluster(tmp_path, manifests) as cluster_:
        drill = Drill(bin_dir, tiny_model, cluster_, api)
        drill.start()
        clients = Clients(drill)
        began = time.monotonic()
        old = asyncio.run(clients.run(lambda: drill.replace(how == "all at once")))
        print(f"{how}: {time.monotonic() - began:.1f} s, {len(clients.answers)} streams, "
              f"longest gap {max(clients.gaps):.2f} s, {len(clients.short)} short requests, "
              f"slowest {max(s for _, s in clients.short):.2f} s")
        figures(f"rollout, {how}: longest gap of a stream", max(clients.gaps))

        # Not one stream was broken, cut or altered.
        assert len(clients.answers) >= NUM_STREAMS
        for number, max_tokens, data in clients.answers:
            answer = read(data)
            assert answer.status == 200, answer.body
            stream = sse.read(answer.text)
            assert stream.error is None
            [choice] = stream.choices.values()
            assert choice.content == undisturbed_texts[number, max_tokens], \
                "a token was lost, repeated or changed"
            assert choice.finish_reason == "length"
            assert stream.usage["completion_tokens"] == max_tokens
        # Nor was a new request refused.
        assert {answer.status for answer, _ in clients.short} == {200}, \
            [answer.body for answer, _ in clients.short if answer.status != 200]

        # Every old process has gone by itself, and in time.
        assert len(old) == sum(d.num_replicas for d in drill.deployments)
        for pod in old:
            print(f"{pod.name} ended within {pod.took_to_end_s:.1f} of {pod.grace_s} s")
            assert pod.exit_code == 0, pod.log()[-3000:]
            assert pod.took_to_end_s < pod.grace_s
        assert sum(max_tokens == LONG for _, max_tokens, _ in clients.answers) == \
            NUM_LONG * drill.gateways.num_replicas
        expect_rest(drill)


def expect_rest(drill):
    """I1 and I2, of those that are there now."""
    def blocks(pod, state):
        return pod.metrics().sum("weft_scheduler_kv_blocks", state=state)
    [leader] = [pod for pod in drill.schedulers.living()
                if pod.metrics().sum("weft_scheduler_leader") == 1]
    assert stack.eventually(lambda: blocks(leader, "used") == 0, 3), "blocks are left"
    assert leader.metrics().sum("weft_scheduler_workers", state="ready") == \
        drill.workers.num_replicas
    for pod in drill.gateways.living():
        metrics = pod.metrics()
        assert metrics.sum("weft_gateway_requests_in_flight") == 0
        ended = {outcome: metrics.sum("weft_gateway_requests_ended_total", outcome=outcome)
                 for outcome in ("completed", "failed", "cancelled", "rejected")}
        assert ended["completed"] == sum(ended.values()), ended
        assert ended["completed"] == metrics.sum("weft_gateway_requests_accepted_total")
