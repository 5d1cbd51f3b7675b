"""A leading scheduler that is told to end: the next one leads before it goes."""

import os
import re
import signal
import subprocess
import threading

import httpx
import kube_api
import pytest
import stack
from streams import FAST, Readers, body, expect_whole


class Trickle:
    """Short requests, one after another until the with block ends; none may fail."""

    def __init__(self, served):
        self.url, self.answers = f"{served.url}/v1/completions", []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self):
        with httpx.Client(timeout=60) as client:
            while not self.over.is_set():
                answer = client.post(self.url, json=body(0, False, 3))
                self.answers.append((answer.status_code, answer.text))
                self.over.wait(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)

    def expect_served(self):
        assert len(self.answers) > 5
        assert {status for status, _ in self.answers} == {200}, self.answers


@pytest.fixture(params=["file", "lease"])
def election(request, tmp_path):
    """Flags of the schedulers; None: a lock on a file."""
    if request.param == "file":
        yield None
        return
    with kube_api.KubeApi(tmp_path) as api:
        yield api.flags()


@pytest.mark.repeated
def test_a_leader_that_is_told_to_end_hands_over_at_once(
        bin_dir, tiny_model, worker_flags, undisturbed_by_worker, election, figures):
    kind = "a lock" if election is None else "a Lease"
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": worker_flags},
                                election=election) as tiers:
        readers = Readers(tiers)
        with Trickle(tiers) as trickle:
            readers.wait_for_tokens(5)
            os.kill(tiers.pids()["scheduler"], signal.SIGTERM)
            assert tiers.processes["scheduler"].wait(10) == 0, tiers.log()[-3000:]
            readers.join()
        expect_whole(readers, undisturbed_by_worker)
        trickle.expect_served()
        handed_over = re.search(r"1 gateways and 1 workers go there, (\d+) seq", tiers.log())
        assert int(handed_over[1]) > 0, "over before the next one led"
        figures(f"leader told to end, {kind} decides: longest gap of a stream", max(readers.gaps))
        assert max(readers.gaps) < 2.5  # a Lease that has to run out takes longer
        assert tiers.log().count("leads, term") == 2, tiers.log()[-3000:]
        assert stack.eventually(lambda: tiers.metric(
            "standby", "weft_scheduler_kv_blocks", state="used") == 0, 3)


def test_a_leader_without_a_standby_ends_with_its_streams(bin_dir, tiny_model, undisturbed):
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": FAST}) as tiers:
        assert tiers.kill_tier("standby", signal.SIGTERM) == 0
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        os.kill(tiers.pids()["scheduler"], signal.SIGTERM)
        readers.join()
        expect_whole(readers, undisturbed)
        assert tiers.processes["scheduler"].wait(20) == 0


def test_a_leader_that_ends_hands_over_to_one_that_comes_later(bin_dir, tiny_model, undisturbed,
                                                               election):
    with stack.TiersWithStandby(bin_dir, tiny_model, {"worker": FAST}, election=election) as tiers:
        assert tiers.kill_tier("standby", signal.SIGTERM) == 0
        readers = Readers(tiers)
        readers.wait_for_tokens(5)
        with Trickle(tiers) as trickle:
            os.kill(tiers.pids()["scheduler"], signal.SIGTERM)
            # Nobody is there, and all goes on.
            assert stack.eventually(lambda: "the lead is free" in tiers.log(), 10)
            tiers.start_tier("standby")
            assert tiers.processes["scheduler"].wait(20) == 0
            readers.join()
        expect_whole(readers, undisturbed)
        trickle.expect_served()


def test_who_ends_gives_its_lease_back(bin_dir, tmp_path):
    """As client-go does: by an update that leaves no holder."""
    log = tmp_path / "log"
    with kube_api.KubeApi(tmp_path) as api:
        command = [str(bin_dir / "weft-scheduler"), "--port=0", "--admin-port=0", *api.flags()]
        with subprocess.Popen(command, stderr=open(log, "wb"),
                              preexec_fn=stack.die_with_us) as scheduler:
            assert stack.eventually(lambda: "leads, term" in log.read_text(), 10)
            held = api.lease("group-a")
            assert held["spec"]["holderIdentity"]
            scheduler.send_signal(signal.SIGTERM)
            assert scheduler.wait(10) == 0
        free = api.lease("group-a")
        assert free["spec"]["holderIdentity"] == ""
        assert free["metadata"]["annotations"] == {
            **held["metadata"]["annotations"], "weft.dev/address": ""}
        assert int(free["metadata"]["resourceVersion"]) > int(held["metadata"]["resourceVersion"])
