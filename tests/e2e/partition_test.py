"""A network that moves nothing any more, slow peers that are none the worse for it, and a request
that takes its workers down."""

import concurrent.futures
import os
import random
import signal
import socket
import time

import httpx
import partition
import pytest
import sse
import stack
from partition import DOWN, UP
from streams import FAST, Readers, body, expect_begun, expect_whole

# Silence is noticed within 3 s; asking for it takes some time, too.
LIMIT_S = 3.2

# Of a network that moves nothing one way only, whoever hears nothing tells the other.
WAYS = {"": (UP, DOWN), ", not heard": (UP,), ", hears nothing": (DOWN,)}
each_way = pytest.mark.parametrize(
    ("worker_flags", "way"),
    [("fp32", ""), ("simulated", ""),
     *(pytest.param("simulated", way, marks=pytest.mark.soak) for way in list(WAYS)[1:])],
    indirect=["worker_flags"])


def scheduler_of(tiers):
    return ("127.0.0.1", tiers.scheduler_port)


@pytest.mark.repeated
@each_way
def test_a_partitioned_workers_streams_go_on_elsewhere(bin_dir, tiny_model, worker_flags, way,
                                                       undisturbed_by_worker, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": worker_flags})
    tiers.add_worker("worker2")
    with partition.Network(scheduler_of(tiers)) as network:
        tiers.via["worker"] = network.address

        def num_ready():
            return tiers.metric("scheduler", "weft_scheduler_workers", state="ready")
        with tiers:
            assert stack.eventually(lambda: num_ready() == 2, 20)
            readers = Readers(tiers)
            readers.wait_for_tokens(5)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                network.cut(*WAYS[way])
                worker_noticed = pool.submit(stack.seconds_until,
                                             lambda: not tiers.ready("worker"), 10)
                took = stack.seconds_until(
                    lambda: tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 1, 10)
            figures(f"worker partitioned{way}: noticed by the scheduler", took)
            figures(f"worker partitioned{way}: noticed by the worker", worker_noticed.result())
            assert max(took, worker_noticed.result()) < LIMIT_S
            readers.join()
            expect_whole(readers, undisturbed_by_worker)
            figures(f"worker partitioned{way}, another is there: longest gap of a stream",
                    max(readers.gaps))
            # What it says when it is heard again counts nothing; it begins anew.
            network.heal()
            assert stack.eventually(lambda: num_ready() == 2 and tiers.ready("worker"), 10)
            again = Readers(tiers, max_tokens=100)
            again.join()
            expect_begun(again, undisturbed_by_worker)
            tiers.expect_rest()


@pytest.mark.repeated
def test_with_its_only_worker_partitioned_streams_wait(bin_dir, tiny_model, undisturbed, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": FAST})
    with partition.Network(scheduler_of(tiers)) as network:
        tiers.via["worker"] = network.address
        with tiers:
            readers = Readers(tiers)
            readers.wait_for_tokens(5)
            network.cut()
            assert stack.eventually(
                lambda: tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 1, 10)
            network.heal()
            readers.join()
            expect_whole(readers, undisturbed)
            figures("only worker partitioned, healed when noticed: longest gap", max(readers.gaps))
            tiers.expect_rest()


@pytest.mark.repeated
@each_way
def test_a_partitioned_gateways_streams_wait_and_go_on(bin_dir, tiny_model, worker_flags, way,
                                                       undisturbed_by_worker, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": worker_flags})
    with partition.Network(scheduler_of(tiers)) as network:
        tiers.via["gateway"] = network.address
        with tiers:
            readers = Readers(tiers)
            readers.wait_for_tokens(5)
            assert stack.eventually(lambda: tiers.blocks("used") > 0, 2)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                network.cut(*WAYS[way])
                blocks_freed = pool.submit(stack.seconds_until,
                                           lambda: tiers.blocks("used") == 0, 10)
                took = stack.seconds_until(lambda: not tiers.ready("gateway"), 10)
            readers.expect_open()
            figures(f"gateway partitioned{way}: noticed by the gateway", took)
            figures(f"gateway partitioned{way}: its blocks free", blocks_freed.result())
            assert max(took, blocks_freed.result() - stack.GAUGE_LAG_S) < LIMIT_S
            network.heal()
            readers.join()
            expect_whole(readers, undisturbed_by_worker)
            figures(f"gateway partitioned{way}, healed when noticed: longest gap",
                    max(readers.gaps))
            tiers.expect_rest()


@pytest.mark.repeated
def test_without_work_a_partition_is_noticed_as_soon(bin_dir, tiny_model, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": FAST})
    with partition.Network(scheduler_of(tiers)) as network, \
            concurrent.futures.ThreadPoolExecutor() as pool:
        tiers.via["worker"] = tiers.via["gateway"] = network.address
        with tiers:
            assert stack.eventually(lambda: tiers.ready("worker"), 5)
            time.sleep(1 + random.random())  # anywhere between two pings
            network.cut()
            noticed = {what: pool.submit(stack.seconds_until, has_noticed, 10)
                       for what, has_noticed in {
                "by the worker": lambda: not tiers.ready("worker"),
                "by the gateway": lambda: not tiers.ready("gateway"),
                "of the gateway, by the scheduler": lambda: tiers.metric(
                    "scheduler", "weft_scheduler_sessions") == 0,
                "of the worker, by the scheduler": lambda: tiers.metric(
                    "scheduler", "weft_scheduler_workers_lost_total") == 1}.items()}
            for what, took in noticed.items():
                figures(f"partitioned without work: noticed {what}", took.result())
            assert max(took.result() for took in noticed.values()) < LIMIT_S
            network.heal()
            tiers.wait_ready()


def test_a_short_silence_is_no_loss(bin_dir, tiny_model, undisturbed):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": FAST})
    with partition.Network(scheduler_of(tiers)) as network:
        tiers.via["worker"] = tiers.via["gateway"] = network.address
        with tiers:
            readers = Readers(tiers)
            readers.wait_for_tokens(5)
            network.cut()
            stack.eventually(lambda: False, 1.0)
            network.heal()
            readers.join()
            expect_whole(readers, undisturbed)
            assert tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 0


def test_a_pause_of_a_second_and_a_half_is_no_loss(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        assert stack.eventually(lambda: tiers.ready("worker"), 5)
        begun = tiers.log()
        for paused in (("worker", "gateway"), ("scheduler",)):  # without work: only pings tell
            for number, pause_s in ((signal.SIGSTOP, 1.5), (signal.SIGCONT, 1)):
                for tier in paused:
                    os.kill(tiers.pids()[tier], number)
                time.sleep(pause_s)
        assert tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 0
        since = tiers.log().removeprefix(begun)
        assert "attached to the scheduler" not in since
        assert "session with the scheduler" not in since





# A prompt of 3,900 tokens takes some four seconds, in one step.
SLOW = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.001",
        "--max-num-batched-tokens", "4096"]
LONG = {"prompt": [5] * 3900, "max_tokens": 2, "ignore_eos": True}


def test_steps_of_seconds_are_no_loss(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": SLOW}) as tiers:
        answer = httpx.post(f"{tiers.url}/v1/completions", json=LONG, timeout=60)
        assert answer.json()["usage"]["completion_tokens"] == 2
        assert tiers.metric("worker", "weft_worker_step_duration_seconds_sum") > 3
        assert tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 0


def test_a_client_that_reads_nothing_for_seconds_is_no_loss(bin_dir, tiny_model):
    flags = ["--backend", "simulated", "--simulated-speed", "50", "--max-model-len", "131072"]
    small_buffer = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)])
    with stack.Tiers(bin_dir, tiny_model, {"worker": flags}) as tiers, \
            httpx.Client(base_url=tiers.url, transport=small_buffer, timeout=60) as client:
        def wait_seconds():
            return tiers.metric("gateway", "weft_gateway_http_write_wait_seconds_total")
        expected = client.post("/v1/completions", json=body(0, False, 3000)).json()
        before = wait_seconds()
        # A gateway that starts before its scheduler has dialled in vain.
        ended = tiers.metric("gateway", "weft_gateway_upstream_rpc_total")
        with client.stream("POST", "/v1/completions", json=body(0, True, 3000)) as answer:
            time.sleep(5)
            [choice] = sse.read("".join(answer.iter_text())).choices.values()
        assert wait_seconds() - before > 3
        assert choice.content == expected["choices"][0]["text"]
        scheduler = tiers.metrics("scheduler")
        assert scheduler.sum("weft_scheduler_workers_lost_total") == 0
        assert scheduler.sum("weft_scheduler_sessions_cut_total") == 0
        assert tiers.metric("gateway", "weft_gateway_upstream_rpc_total") == ended


@pytest.mark.repeated
def test_a_request_that_takes_down_two_workers_is_given_up(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": SLOW}) as tiers, \
            concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(httpx.post, f"{tiers.url}/v1/completions", json=LONG, timeout=60)
        for _ in range(2):
            assert stack.eventually(lambda: tiers.metric(
                "scheduler", "weft_scheduler_requests_running") == 1, 10)
            time.sleep(0.3)  # its step is under way
            assert not answer.done()
            tiers.kill_tier("worker")
            tiers.start_tier("worker")
            assert stack.eventually(lambda: not tiers.ready("gateway"), 5)
            tiers.wait_ready()
        error = answer.result()
        assert error.status_code == 500
        assert error.json()["error"]["message"] == "the request brought down two workers"
        # Others are served.
        short = httpx.post(f"{tiers.url}/v1/completions", json={**LONG, "prompt": "a"}, timeout=60)
        assert short.status_code == 200
        tiers.expect_rest()


@pytest.mark.repeated
def test_who_was_beside_a_request_that_takes_down_its_workers_goes_on(bin_dir, tiny_model):
    # However long that takes, the prompt is computed in one step, beside its neighbours' tokens.
    flags = {"worker": SLOW, "scheduler": ["--max-mixed-step-ms=0"]}
    fields = {"max_tokens": 120}
    with stack.Tiers(bin_dir, tiny_model, flags) as tiers:
        undisturbed = Readers(tiers, **fields)
        undisturbed.join()
        neighbours = Readers(tiers, **fields)
        neighbours.wait_for_tokens(3)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # Of those that are tried again one by one it is the first.
            answer = pool.submit(httpx.post, f"{tiers.url}/v1/completions", timeout=60,
                                 json={**LONG, "priority": -1})
            for _ in range(2):
                assert stack.eventually(lambda: "prefill on" in stack.get(
                    tiers.admin_ports["scheduler"], "/debug/state")[2], 10)
                time.sleep(0.5)  # the steps before it are over
                assert not answer.done()
                tiers.kill_tier("worker")
                tiers.start_tier("worker")
                assert stack.eventually(lambda: not tiers.ready("gateway"), 5)
            error = answer.result()
        assert error.json()["error"]["message"] == "the request brought down two workers"
        neighbours.join()
        expect_whole(neighbours, [sse.read(text).choices[0].content
                                  for text in undisturbed.texts])
        tiers.expect_rest()
