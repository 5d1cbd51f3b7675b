"""kill -9, tier by tier, with streams open."""

import os
import signal
import subprocess
import time

import httpx
import kube_api
import pytest
import sse
import stack
from streams import FAST, NUM_STREAMS, Readers, body, expect_whole


@pytest.mark.repeated
def test_a_killed_workers_streams_go_on_at_another(bin_dir, tiny_model, worker_flags,
                                                   undisturbed_by_worker, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": worker_flags})
    tiers.add_worker("worker2")
    with tiers:
        assert stack.eventually(lambda: tiers.metric(
            "scheduler", "weft_scheduler_workers", state="ready") == 2, 20)
        readers = Readers(tiers)
        readers.wait_for_tokens(10)
        tiers.kill_tier("worker")
        took = stack.seconds_until(
            lambda: tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 1, 5)
        figures("worker killed: noticed by the scheduler", took)
        assert took < 1.0
        readers.join()
        expect_whole(readers, undisturbed_by_worker)
        figures("worker killed, another is there: longest gap of a stream", max(readers.gaps))
        tiers.expect_rest()


@pytest.mark.repeated
def test_streams_go_on_after_the_worker_was_killed(bin_dir, tiny_model, undisturbed, figures):
    with stack.Served(bin_dir, tiny_model, FAST) as served:
        served.remember_baseline()
        readers = Readers(served)
        readers.wait_for_tokens(10)
        killed = served.pids()["worker"]
        os.kill(killed, signal.SIGKILL)
        readers.join()
        expect_whole(readers, undisturbed)
        figures("worker killed, started again: longest gap of a stream", max(readers.gaps))
        assert "worker ended: killed by SIGKILL; it starts again in 0.2 s" in served.log()
        assert served.pids()["worker"] != killed
        served.baseline.pop("worker")  # another process
        served.expect_idle()


def test_streams_survive_two_losses(bin_dir, tiny_model, undisturbed):
    """The second loss comes while the first is being repaired or just after."""
    with stack.Served(bin_dir, tiny_model, FAST) as served:
        readers = Readers(served)
        readers.wait_for_tokens(5)
        first = served.pids()["worker"]
        os.kill(first, signal.SIGKILL)
        assert stack.eventually(lambda: served.pids().get("worker", first) != first, 10)
        os.kill(served.pids()["worker"], signal.SIGKILL)
        readers.join()
        for text, error, expected in zip(readers.texts, readers.broken, undisturbed):
            assert error is None
            stream = sse.read(text)
            # A sequence that was there both times may be held to blame; it ends then
            # in an error, and what it has said is right.
            [choice] = stream.choices.values()
            assert expected.startswith(choice.content)
            assert stream.error or choice.content == expected


@pytest.mark.repeated
def test_a_stopped_worker_is_declared_lost_and_what_it_says_later_counts_nothing(
        bin_dir, tiny_model, worker_flags, undisturbed_by_worker, figures):
    tiers = stack.Tiers(bin_dir, tiny_model, {"worker": worker_flags})
    with tiers:
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        worker = tiers.pids()["worker"]
        os.kill(worker, signal.SIGSTOP)
        took = stack.seconds_until(
            lambda: tiers.metric("scheduler", "weft_scheduler_workers_lost_total") == 1, 10)
        figures("worker stopped: noticed by the scheduler", took)
        assert took < 3.1
        os.kill(worker, signal.SIGCONT)
        readers.join()
        expect_whole(readers, undisturbed_by_worker)
        figures("worker stopped, goes on when noticed: longest gap of a stream", max(readers.gaps))
        tiers.expect_idle()


@pytest.mark.repeated
def test_a_killed_gateways_blocks_are_free_within_a_second(bin_dir, tiny_model, figures):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        # Gauges follow within a second.
        total = stack.eventually(lambda: tiers.blocks("free") + tiers.blocks("cached"), 3)
        readers = Readers(tiers, max_tokens=3500)
        readers.wait_for_tokens(3)
        assert stack.eventually(lambda: tiers.blocks("used") > 0, 2)
        assert any(thread.is_alive() for thread in readers.threads)
        tiers.kill_tier("gateway")
        took = stack.seconds_until(lambda: tiers.blocks("used") == 0, 5)
        figures("gateway killed: blocks free", took)
        assert took < 1.0
        assert tiers.blocks("free") + tiers.blocks("cached") == total
        readers.join()
        assert all(readers.broken), "a client was not told"
        # Another one takes its place.
        tiers.start_tier("gateway")
        tiers.wait_ready()
        tiers.remember_baseline()
        tiers.expect_idle()


def test_after_a_killed_scheduler_streams_end_and_service_returns(bin_dir, tiny_model,
                                                                  undisturbed):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        tiers.kill_tier("scheduler")
        assert stack.eventually(lambda: not tiers.ready("gateway"), 5)
        tiers.start_tier("scheduler")
        readers.join()
        for text, error, expected in zip(readers.texts, readers.broken, undisturbed):
            assert error is None
            stream = sse.read(text)
            [choice] = stream.choices.values()
            assert expected.startswith(choice.content)
            assert stream.error or choice.content == expected
        tiers.wait_ready()
        tiers.remember_baseline()
        tiers.expect_idle()


def test_a_request_without_a_worker_waits_for_one(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        tiers.kill_tier("worker")
        assert stack.eventually(lambda: not tiers.ready("gateway"), 5)
        readers = Readers(tiers, max_tokens=20)
        time.sleep(0.3)
        assert readers.texts == [""] * NUM_STREAMS
        tiers.start_tier("worker")
        readers.join()
        for text in readers.texts:
            assert sse.read(text).error is None
        tiers.expect_rest()


def test_a_request_is_refused_if_no_worker_comes(bin_dir, tiny_model):
    flags = {"worker": FAST, "scheduler": ["--no-worker-timeout=0.5"]}
    with stack.Tiers(bin_dir, tiny_model, flags) as tiers:
        readers = Readers(tiers, max_tokens=3500)
        readers.wait_for_tokens(3)
        tiers.kill_tier("worker")
        # Both those that wait for it and those that come later.
        answers = [httpx.post(f"{tiers.url}/v1/completions", json={"prompt": "a"}, timeout=10)]
        readers.join()
        answers.append(httpx.post(f"{tiers.url}/v1/completions", json={"prompt": "a"}, timeout=10))
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["error"]["type"] == "server_error"
        for text in readers.texts:
            assert "no worker" in sse.read(text).error["message"]
        tiers.expect_rest()


def test_a_worker_that_is_told_to_stop_hands_its_streams_on(bin_dir, tiny_model, undisturbed):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        assert tiers.kill_tier("worker", signal.SIGTERM) == 0
        tiers.start_tier("worker")
        readers.join()
        expect_whole(readers, undisturbed)


@pytest.mark.repeated
def test_the_standby_takes_over_from_a_killed_leader_and_back(
        bin_dir, tiny_model, worker_flags, undisturbed_by_worker, figures):
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": worker_flags}) as tiers:
        for leader, other in (("scheduler", "standby"), ("standby", "scheduler")):
            readers = Readers(tiers)
            readers.wait_for_tokens(5)
            tiers.kill_tier(leader)
            # The worker and the gateway find the other one, and the streams go on.
            assert stack.eventually(lambda other=other: tiers.metric(
                other, "weft_scheduler_requests_running") == NUM_STREAMS, 3, 0.01), tiers.log()[-3000:]
            readers.join()
            expect_whole(readers, undisturbed_by_worker)
            figures("leader killed, a lock decides: longest gap of a stream", max(readers.gaps))
            tiers.start_tier(leader)
        assert tiers.log().count("leads, term") == 3


def test_a_leader_that_ends_in_order_hands_over(bin_dir, tiny_model):
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        assert tiers.kill_tier("scheduler", signal.SIGTERM) == 0
        assert stack.eventually(lambda: httpx.post(
            f"{tiers.url}/v1/completions", json=body(0, False, 5)).status_code == 200, 5)


def test_an_election_that_cannot_work_is_refused(bin_dir, tiny_model):
    with stack.Tiers(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        for flag, exit_code, words in (
                ("--election=lock", 2, "--election lock is neither none, nor file:PATH, nor lease:"),
                ("--election=file:/missing/leader", 1, "cannot open /missing/leader")):
            command = [*tiers.command("scheduler")[:1], "--port=0", "--admin-port=0", flag]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            assert ended.returncode == exit_code
            assert words in ended.stderr


def test_the_schedulers_page_says_who_runs_and_who_leads(bin_dir, tiny_model):
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        readers = Readers(tiers, max_tokens=3500)
        readers.wait_for_tokens(3)
        status, _, page = stack.get(tiers.admin_ports["scheduler"], "/debug/state")
        assert status == 200
        assert f"{NUM_STREAMS} running, 0 waiting" in page, page
        assert page.count("decode on ") == NUM_STREAMS, page
        leader = f"127.0.0.1:{tiers.scheduler_port} leads"
        assert leader in stack.get(tiers.admin_ports["standby"], "/debug/state")[2]
        assert stack.get(tiers.admin_ports["worker"], "/debug/state")[0] == 404
        tiers.kill_tier("gateway")
        readers.join()
        tiers.start_tier("gateway")
        tiers.wait_ready()


@pytest.mark.repeated
def test_a_lease_in_kubernetes_decides_who_leads(bin_dir, tiny_model, undisturbed, tmp_path,
                                                 figures):
    with kube_api.KubeApi(tmp_path) as api, stack.TiersWithStandby(
            bin_dir, tiny_model, {"worker": FAST}, election=api.flags()) as tiers:
        lease = api.lease("group-a")
        assert lease["spec"]["leaseDurationSeconds"] == 3
        address = f"127.0.0.1:{tiers.scheduler_port}"
        assert lease["metadata"]["annotations"]["weft.dev/address"] == address

        # Killed: its lease runs out. Its streams go on.
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        tiers.kill_tier("scheduler")
        assert stack.eventually(lambda: tiers.log().count("leads, term") == 2, 6)
        readers.join()
        expect_whole(readers, undisturbed)
        figures("leader killed, a Lease decides: longest gap of a stream", max(readers.gaps))
        assert api.lease("group-a")["spec"]["leaseTransitions"] == 1

        # Stopped for longer than its lease: the other one leads, and it ends when it goes on.
        tiers.start_tier("scheduler")
        assert stack.eventually(lambda: tiers.ready("scheduler"), 5)
        stopped = tiers.processes["standby"]
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        os.kill(stopped.pid, signal.SIGSTOP)
        assert stack.eventually(lambda: tiers.log().count("leads, term") == 3, 8)
        readers.join()
        expect_whole(readers, undisturbed)
        figures("leader stopped, a Lease decides: longest gap of a stream", max(readers.gaps))
        os.kill(stopped.pid, signal.SIGCONT)
        assert stopped.wait(5) == 1
        assert "leads no more: the lease is" in tiers.log()
        tiers.start_tier("standby")

        # Without the API server nobody may lead.
        api.is_down.set()
        assert tiers.processes["scheduler"].wait(8) == 1
        assert "HTTP 503: the API server is shutting down" in tiers.log()
        api.is_down.clear()
        tiers.start_tier("scheduler")
        assert stack.eventually(lambda: tiers.log().count("leads, term") == 4, 8)
        tiers.wait_ready()
        assert httpx.post(f"{tiers.url}/v1/completions", json=body(0, False, 5),
                          timeout=20).status_code == 200


def test_a_lease_is_not_taken_without_its_place_or_the_right(bin_dir, tiny_model, tmp_path):
    scheduler = [str(bin_dir / "weft-scheduler"), "--port=0", "--admin-port=0"]
    outside = subprocess.run([*scheduler, "--election=lease:group-a", "--kube-account=/missing"],
                             capture_output=True, text=True, timeout=20, check=False)
    assert outside.returncode == 2
    assert "this is no pod, and --kube-api names no API server" in outside.stderr
    with kube_api.KubeApi(tmp_path) as api:
        (tmp_path / "token").write_text("another")
        with subprocess.Popen([*scheduler, *api.flags()], stderr=subprocess.PIPE,
                              text=True) as candidate:
            for line in candidate.stderr:
                if "cannot be read, trying on" in line:
                    assert "HTTP 401: Unauthorized" in line
                    break
            candidate.kill()
        assert api.lease("group-a") is None
