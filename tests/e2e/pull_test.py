"""`weft pull` against a hub that misbehaves, and a cache that other tools share."""

import concurrent.futures
import json
import os
import pathlib
import pty
import random
import re
import signal
import stat
import struct
import subprocess
import time

import huggingface_hub
import pytest
import stack
from hub import Fault, Hub, digest
from stack import die_with_us, eventually

PIECE = 32 << 20  # kPieceBytes of cli/pull/partial_file.h
REPO = "acme/tiny"
TEXTS = {"config.json": b'{"model_type": "qwen2"}', "generation_config.json": b"{}",
         "tokenizer.json": b'{"version": "1.0"}' * 1000, "tokenizer_config.json": b'{"a": 1}',
         "chat_template.jinja": b"{{ messages }}"}
UNREAD = {"README.md": b"# tiny", "pytorch_model.bin": b"\x80pickle", "modeling_tiny.py": b"evil()",
          "original/model.safetensors": b"x", ".gitattributes": b"", "training_args.pt": b"\x80",
          "onnx/config.json": b"{}"}
WEIGHTS = random.Random(1).randbytes(3 << 20)
BIG = random.Random(2).randbytes(3 * PIECE + 12345)


@pytest.fixture(scope="module")
def the_hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def hub(the_hub):
    the_hub.reset()
    return the_hub


class Puller:
    """weft pull with a cache of its own."""

    def __init__(self, bin_dir, hub, folder):
        self.bin_dir, self.hub = bin_dir, hub
        self.home = folder / "home"
        self.cache = self.home / "hub"
        # Nothing of this machine's own hub, proxies or tokens.
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "HF_HOME": str(self.home),
            "HF_ENDPOINT": hub.url, "SSL_CERT_FILE": str(hub.ca_file)}

    def start(self, *words, **environment):
        return subprocess.Popen(
            [self.bin_dir / "weft", "pull", *map(str, words)], text=True, preexec_fn=die_with_us,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**self.environment, **environment})

    def run(self, *words, **environment):
        process = self.start(*words, **environment)
        process.out, process.err = process.communicate(timeout=100)
        return process

    def pull(self, *words, **environment):
        """Must succeed: the snapshot's folder."""
        done = self.run(*words, **environment)
        assert done.returncode == 0, done.err
        return pathlib.Path(done.out.splitlines()[-1])

    def blob(self, name, data, repo=REPO):
        return self.cache / f"models--{repo.replace('/', '--')}" / "blobs" / digest(name, data)[1]

    def leftovers(self):
        return [path for path in self.cache.rglob("*")
                if path.name.endswith((".incomplete", ".tmp"))]


@pytest.fixture
def puller(bin_dir, hub, tmp_path):
    return Puller(bin_dir, hub, tmp_path)


def names(folder):
    return {path.name for path in folder.iterdir()}


def expect(snapshot, files):
    assert names(snapshot) == set(files)
    for name, data in files.items():
        assert (snapshot / name).read_bytes() == data, name


# ---- what arrives ----

def test_a_model_arrives_whole_and_nothing_that_is_not_read(hub, puller):
    commit = hub.publish(REPO, {**TEXTS, **UNREAD, "model.safetensors": WEIGHTS})
    snapshot = puller.pull(f"hf://{REPO}")
    assert snapshot == puller.cache / "models--acme--tiny" / "snapshots" / commit
    expect(snapshot, {**TEXTS, "model.safetensors": WEIGHTS})
    assert set(hub.num_sent) == {*TEXTS, "model.safetensors"}
    assert not puller.leftovers()


def test_the_other_tools_find_all_of_it(hub, puller):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    commit = hub.publish(REPO, files)
    snapshot = puller.pull(REPO)
    cache = huggingface_hub.scan_cache_dir(puller.cache)
    assert not cache.warnings
    [repo] = cache.repos
    [revision] = repo.revisions
    assert (repo.repo_id, revision.commit_hash, revision.refs) == (REPO, commit, {"main"})
    assert {file.file_name for file in revision.files} == set(files)
    assert repo.size_on_disk == sum(map(len, files.values()))
    for name in files:
        for revision in ("main", commit):
            found = huggingface_hub.try_to_load_from_cache(REPO, name, puller.cache, revision)
            assert found == str(snapshot / name)
    assert huggingface_hub.snapshot_download(
        REPO, cache_dir=puller.cache, local_files_only=True) == str(snapshot)


def test_a_cache_of_other_tools_is_gone_on_with(hub, puller):
    """As huggingface_hub lays it out, with the weights missing."""
    commit = hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    folder = puller.cache / huggingface_hub.file_download.repo_folder_name(
        repo_id=REPO, repo_type="model")
    (folder / "blobs").mkdir(parents=True)
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, data in TEXTS.items():
        blob = puller.blob(name, data)
        blob.write_bytes(data)
        huggingface_hub.file_download._create_symlink(str(blob), str(snapshot / name))
    huggingface_hub.file_download._cache_commit_hash_for_specific_revision(
        str(folder), "main", commit)
    assert puller.pull(REPO) == snapshot
    assert set(hub.num_sent) == {"model.safetensors"}
    expect(snapshot, {**TEXTS, "model.safetensors": WEIGHTS})


def test_a_cache_of_plain_files_is_gone_on_with(hub, puller):
    """As the other tools lay it out where a file system has no links."""
    commit = hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    snapshot = puller.cache / "models--acme--tiny" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(WEIGHTS)
    assert puller.pull(REPO) == snapshot
    assert "model.safetensors" not in hub.num_sent
    assert not (snapshot / "model.safetensors").is_symlink()


def test_the_second_time_nothing_is_downloaded(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    first = puller.pull(REPO)
    hub.forget()
    assert puller.pull(REPO) == first
    assert not hub.num_sent and len(hub.requests) == 1


def test_a_new_commit_shares_what_has_not_changed(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    first = puller.pull(REPO)
    hub.publish(REPO, {**TEXTS, "config.json": b'{"new": 1}', "model.safetensors": WEIGHTS})
    hub.forget()
    second = puller.pull(REPO)
    assert second != first and set(hub.num_sent) == {"config.json"}
    assert (first / "config.json").read_bytes() == TEXTS["config.json"]
    assert (second / "model.safetensors").samefile(first / "model.safetensors")


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/3", "a+b#c"])
def test_a_revision_of_any_name(hub, puller, revision):
    commit = hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS}, revision=revision)
    assert puller.pull(f"hf://{REPO}@{revision}").name == commit
    assert (puller.cache / "models--acme--tiny" / "refs" / revision).read_text() == commit
    assert puller.pull(f"{REPO}@{commit}").name == commit


def shards(count, size=100_000):
    data = {f"model-{i + 1:05}-of-{count:05}.safetensors": random.Random(i).randbytes(size)
            for i in range(count)}
    index = {"weight_map": {f"layers.{i}.weight": name for i, name in enumerate(data)}}
    return {**data, "model.safetensors.index.json": json.dumps(index).encode()}


def test_the_shards_that_the_index_names_arrive(hub, puller):
    files = {**TEXTS, **shards(11)}
    hub.publish(REPO, {**files, "consolidated.safetensors": WEIGHTS})
    expect(puller.pull(REPO), files)


def test_a_gateway_gets_no_weights(hub, puller):
    hub.publish(REPO, {**TEXTS, **shards(2)})
    expect(puller.pull(REPO, "--tokenizer-only"), TEXTS)
    assert set(hub.num_sent) == set(TEXTS)


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_repository_that_is_no_model_is_refused_at_once(hub, puller, lacking):
    files = {**TEXTS, "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS}
    del files[lacking]
    hub.publish(REPO, files)
    done = puller.run(REPO)
    assert done.returncode == 1 and f"has no {lacking}" in done.err
    assert not hub.num_sent


# ---- folders ----

def test_a_plain_folder_for_those_who_know_no_cache(hub, puller, tmp_path):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    folder = tmp_path / "models" / "tiny"
    snapshot = puller.pull(REPO, "--to", folder)
    expect(folder, files)
    assert not any(path.is_symlink() for path in folder.iterdir())
    # The weights take no space a second time; what people edit is theirs.
    assert (folder / "model.safetensors").samefile(snapshot / "model.safetensors")
    assert not (folder / "config.json").samefile(snapshot / "config.json")
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    puller.pull(REPO, "--to", folder)
    assert before == {path.name: path.stat().st_ino for path in folder.iterdir()}


def test_a_folder_on_another_file_system(hub, puller):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    shared = pathlib.Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == puller.home.parent.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own")
    folder = shared / f"weft-pull-{os.getpid()}"
    try:
        for _ in range(2):
            puller.pull(REPO, "--to", folder)
            expect(folder, files)
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_a_folder_with_another_models_weights_is_left_alone(hub, puller, tmp_path):
    hub.publish(REPO, {**TEXTS, **shards(2)})
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "model.safetensors").write_bytes(b"old")
    done = puller.run(REPO, "--to", tmp_path / "to")
    assert done.returncode == 1 and "is not of this model" in done.err
    assert names(tmp_path / "to") == {"model.safetensors"}


# ---- what goes wrong on the way ----

def test_large_files_come_over_several_connections(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": BIG})
    hub.faults["model.safetensors"] = Fault(bytes_per_s=20 << 20)
    expect(puller.pull(REPO), {**TEXTS, "model.safetensors": BIG})
    assert hub.most_open >= 4
    assert hub.num_sent["model.safetensors"] == len(BIG)


def test_a_cut_connection_is_gone_on_with(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.faults["model.safetensors"] = Fault(drop_after=1_000_000)
    done = puller.run(REPO)
    assert done.returncode == 0, done.err
    assert hub.num_sent["model.safetensors"] == len(WEIGHTS), "bytes came twice"
    ranges = [request.range for request in hub.requests if request.host == "localhost"]
    assert ranges == [None, *(f"bytes={begin}-{len(WEIGHTS) - 1}"
                              for begin in range(1_000_000, len(WEIGHTS), 1_000_000))]
    assert "trying again" in done.err


def num_present(partial):
    """Bytes that a partial file says it has: the sum of the counts at its end."""
    return sum(struct.unpack("<4q", partial.read_bytes()[-32:]))


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 128 + signal.SIGTERM),
                                          (signal.SIGINT, 128 + signal.SIGINT),
                                          (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stopped_download_is_gone_on_with(hub, puller, number, code):
    files = {**TEXTS, "model.safetensors": BIG}
    hub.publish(REPO, files)
    hub.faults["model.safetensors"] = Fault(bytes_per_s=8 << 20)
    process = puller.start(REPO)
    assert eventually(lambda: hub.num_sent["model.safetensors"] > len(BIG) // 2, 30)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == code and out == ""
    assert number == signal.SIGKILL or "the next time goes on" in err
    [partial] = puller.leftovers()
    present = num_present(partial)
    assert present > len(BIG) // 10  # the rest was on its way
    assert eventually(lambda: hub.num_open == 0, 10), "what it still sends would count below"
    hub.faults.clear()
    hub.forget()
    expect(puller.pull(REPO), files)
    assert hub.num_sent["model.safetensors"] == len(BIG) - present
    assert not puller.leftovers()


def test_a_server_without_ranges_serves_as_well(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": BIG})
    hub.faults["model.safetensors"] = Fault(ignores_ranges=True)
    done = puller.run(REPO)
    assert done.returncode == 0, done.err
    assert "knows no ranges" in done.err
    assert puller.blob("model.safetensors", BIG).read_bytes() == BIG


@pytest.mark.parametrize("refusal", [(503, {"Retry-After": "2"}), (429, {"Retry-After": "2"})])
@pytest.mark.parametrize("where", ["list", "file", "large file"])
def test_a_busy_server_is_asked_again_when_it_says(hub, puller, refusal, where):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    if where == "list":
        hub.refusals = [refusal]
    else:
        name = "config.json" if where == "file" else "model.safetensors"
        hub.faults[name] = Fault(refusals=[refusal])
    began = time.monotonic()
    done = puller.run(REPO)
    assert done.returncode == 0, done.err
    assert time.monotonic() - began >= 2
    assert f"answers HTTP {refusal[0]}; trying again in" in done.err
    assert "secret" not in done.err, "a signed address"


def test_errors_pass_and_the_rest_arrives(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.refusals = [(500, {}), (502, {})]
    hub.faults["model.safetensors"] = Fault(refusals=[(504, {}), (403, {})])  # an expired signature
    hub.faults["tokenizer.json"] = Fault(drop_after=5000, num_drops=2)
    puller.pull(REPO)


def test_a_server_that_stays_broken_ends_it(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.faults["model.safetensors"] = Fault(refusals=[(503, {})] * 100)
    done = puller.run(REPO)
    assert done.returncode == 1
    assert "model.safetensors: " in done.err and "given up after 6 tries" in done.err


def test_a_server_that_wants_hours_ends_it(hub, puller):
    hub.publish(REPO, TEXTS)
    hub.refusals = [(429, {"Retry-After": "7200"})]
    done = puller.run(REPO)
    assert done.returncode == 1 and "asks to wait for 2h" in done.err


def test_a_silent_connection_is_given_up(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.faults["model.safetensors"] = Fault(is_silent=True)
    began = time.monotonic()
    puller.pull(REPO)
    assert time.monotonic() - began < 40


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_changed_bytes_come_again(hub, puller, name):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    hub.faults[name] = Fault(num_corrupt=2)
    done = puller.run(REPO)
    assert done.returncode == 0, done.err
    assert "and not " + digest(name, files[name])[1] in done.err
    assert puller.blob(name, files[name]).read_bytes() == files[name]


def test_bytes_that_are_always_wrong_never_get_into_the_cache(hub, puller):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    hub.faults["model.safetensors"] = Fault(num_corrupt=1 << 30)
    done = puller.run(REPO)
    assert done.returncode == 1 and done.out == ""
    assert "model.safetensors: its SHA-256 is" in done.err and "after 3 downloads" in done.err
    assert not puller.blob("model.safetensors", WEIGHTS).exists()
    assert not (puller.cache / "models--acme--tiny" / "refs" / "main").exists()


def test_a_partial_file_that_was_damaged_is_begun_anew(hub, puller):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    hub.faults["model.safetensors"] = Fault(drop_after=2_000_000, refusals=[], num_drops=1,
                                            bytes_per_s=1 << 20)
    process = puller.start(REPO)
    assert eventually(lambda: hub.num_sent["model.safetensors"] > 1_000_000, 20)
    process.kill()
    process.communicate(timeout=10)
    [partial] = puller.leftovers()
    with open(partial, "r+b") as file:
        file.seek(1000)
        file.write(b"nonsense")
    hub.faults.clear()
    done = puller.run(REPO)
    assert done.returncode == 0 and "from the start" in done.err
    assert puller.blob("model.safetensors", WEIGHTS).read_bytes() == WEIGHTS


def test_two_at_once_download_it_once(hub, puller):
    files = {**TEXTS, "model.safetensors": WEIGHTS}
    hub.publish(REPO, files)
    hub.faults["model.safetensors"] = Fault(bytes_per_s=2 << 20)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: puller.run(REPO), range(4)))
    assert [one.returncode for one in done] == [0] * 4, [one.err for one in done]
    assert len({one.out for one in done}) == 1
    assert hub.num_sent == {name: len(data) for name, data in files.items()}
    assert any("another process downloads it" in one.err for one in done)


def test_it_waits_for_other_tools_too(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    lock = (puller.cache / ".locks" / "models--acme--tiny" /
            f"{digest('model.safetensors', WEIGHTS)[1]}.lock")
    lock.parent.mkdir(parents=True)
    with huggingface_hub.utils.WeakFileLock(str(lock)):
        process = puller.start(REPO)
        time.sleep(1)
        assert process.poll() is None and not hub.num_sent["model.safetensors"]
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err


# ---- who may ----

def test_a_gated_model_says_what_to_do(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.repositories[REPO].readers = {"hf_reader"}
    done = puller.run(REPO)
    assert done.returncode == 1
    assert "set HF_TOKEN" in done.err and "is restricted" in done.err
    done = puller.run(REPO, HF_TOKEN="hf_other")
    assert done.returncode == 1
    assert f"ask for access at {hub.url}/{REPO}" in done.err and "hf_other" not in done.err
    puller.pull(REPO, HF_TOKEN="hf_reader\n")


def test_the_token_that_a_login_has_left_is_used(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.repositories[REPO].readers = {"hf_reader"}
    puller.home.mkdir()
    (puller.home / "token").write_text("hf_reader\n")
    puller.pull(REPO)


def test_the_token_goes_to_the_hub_alone(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    puller.pull(REPO, HF_TOKEN="hf_reader")
    by_host = {}
    for request in hub.requests:
        by_host.setdefault(request.host, set()).add(request.authorization)
    assert by_host == {"127.0.0.1": {"Bearer hf_reader"}, "localhost": {None}}


def test_a_private_or_missing_model_is_told_apart_as_far_as_the_hub_does(hub, puller):
    done = puller.run("acme/absent")
    assert done.returncode == 1 and "acme/absent" in done.err and "set HF_TOKEN" in done.err
    done = puller.run("acme/absent", HF_TOKEN="hf_reader")
    assert done.returncode == 1 and "there is no model acme/absent at revision main" in done.err
    hub.publish(REPO, TEXTS)
    done = puller.run(f"{REPO}@v9", HF_TOKEN="hf_reader")
    assert done.returncode == 1 and f"there is no revision v9 of {REPO}" in done.err


def test_an_unknown_authority_is_refused(hub, puller):
    hub.publish(REPO, TEXTS)
    done = puller.run(REPO, SSL_CERT_FILE="")
    assert done.returncode == 1 and "certificate" in done.err
    assert not hub.requests
    puller.pull(REPO, "--tokenizer-only", "--ca-file", hub.ca_file, SSL_CERT_FILE="")


def test_a_redirection_to_a_plain_connection_is_refused(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.cdn_url, before = hub.cdn_url.replace("https", "http"), hub.cdn_url
    try:
        done = puller.run(REPO)
    finally:
        hub.cdn_url = before
    assert done.returncode == 1 and "http" in done.err
    assert "trying again" not in done.err, "it was asked"


# ---- what must not be believed ----

@pytest.mark.parametrize("name", ["../../../evil.json", "/etc/passwd", "a/../../b", "..\\b", ""])
def test_a_name_that_leaves_the_folder_is_refused(hub, puller, name):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.repositories[REPO].extra_names = [name]
    done = puller.run(REPO)
    assert done.returncode == 1 and "leaves its folder" in done.err
    assert not puller.cache.exists()


@pytest.mark.parametrize("name", ["../model.safetensors", "/model.safetensors", "sub/x.safetensors",
                                  ".safetensors", "model.bin"])
def test_a_shard_that_leaves_the_folder_is_refused(hub, puller, name):
    index = json.dumps({"weight_map": {"a": name}}).encode()
    hub.publish(REPO, {**TEXTS, "model.safetensors.index.json": index})
    done = puller.run(REPO)
    assert done.returncode == 1 and "is no safetensors file of its folder" in done.err


@pytest.mark.parametrize("listing", [
    "", "[]", "{}", '{"sha": "../../x", "siblings": []}',
    json.dumps({"sha": "a" * 40, "siblings": [{"rfilename": "config.json"}]}),
    json.dumps({"sha": "a" * 40, "siblings": [
        {"rfilename": "config.json", "size": 3, "blobId": "../../../../evil"}]}),
    json.dumps({"sha": "a" * 40, "siblings": [
        {"rfilename": "config.json", "size": -3, "blobId": "b" * 40}]}),
])
def test_a_listing_that_is_none_is_refused(hub, puller, listing):
    hub.refusals = [(200, {}, listing.encode())]
    done = puller.run(REPO)
    assert done.returncode == 1 and "the hub's list of files" in done.err
    assert not puller.cache.exists()


def test_a_file_of_another_size_than_listed_is_refused(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": BIG})
    hub.repositories[REPO].sizes = {"model.safetensors": len(BIG) - 1}
    done = puller.run(REPO)
    assert done.returncode == 1 and "not those of the file in the hub's list" in done.err


def test_too_little_space_is_told_before_anything_comes(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.repositories[REPO].sizes = {"model.safetensors": 1 << 43}
    done = puller.run(REPO)
    assert done.returncode == 1
    assert "not enough space: 8796.09 GB are needed in" in done.err
    assert "model.safetensors" not in hub.num_sent
    assert not any(stat.S_ISREG(path.stat().st_mode) and path.stat().st_blocks > 1000
                   for path in puller.cache.rglob("*"))


def test_a_disk_that_fills_up_is_told_and_gone_on_with(hub, puller, tmp_path):
    """A file system of 8 MB, in which another fills the rest meanwhile."""
    can_mount = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path],
                               capture_output=True, check=False)
    if can_mount.returncode != 0:
        pytest.skip("no file system can be mounted here")
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.faults["model.safetensors"] = Fault(bytes_per_s=1 << 20)
    script = """
        mount -t tmpfs -o size=8m none "$1" || exit 77
        "$2" pull "$3" & pull=$!
        while [ ! -s "$1"/models--acme--tiny/blobs/*.incomplete ]; do sleep 0.05; done
        sleep 0.5
        head -c 8m /dev/zero 2>/dev/null > "$1/other"
        wait $pull
        echo "exit code $?"
        rm "$1/other"
        exec "$2" pull "$3"
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", disk, puller.bin_dir / "weft", REPO],
        env={**puller.environment, "HF_HUB_CACHE": str(disk)}, capture_output=True, text=True,
        preexec_fn=die_with_us, timeout=60, check=False)
    assert "the disk is full; make room and repeat" in done.stderr
    assert "exit code 1" in done.stdout
    assert done.returncode == 0, done.stderr
    assert hub.requests[-1].range, "what was there has come again"


def test_a_cache_that_cannot_be_written_is_named(hub, puller):
    hub.publish(REPO, TEXTS)
    puller.home.mkdir()
    puller.cache.write_text("a file where the folder shall be")
    done = puller.run(REPO, "--tokenizer-only")
    assert done.returncode == 1 and str(puller.cache) in done.err


# ---- without a hub ----

def test_the_cache_serves_where_there_is_no_hub(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    snapshot = puller.pull(REPO)
    hub.forget()
    assert puller.pull(REPO, HF_HUB_OFFLINE="1") == snapshot
    assert not hub.requests
    done = puller.run(REPO, HF_ENDPOINT="https://127.0.0.1:9")
    assert done.returncode == 0 and "the cache's copy is taken" in done.err
    assert done.out.strip() == str(snapshot)


def test_what_the_cache_lacks_is_named(hub, puller):
    done = puller.run(REPO, HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "has no such revision" in done.err
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    puller.pull(REPO, "--tokenizer-only")
    puller.pull(REPO, "--tokenizer-only", HF_HUB_OFFLINE="1")
    done = puller.run(REPO, HF_HUB_OFFLINE="1")
    assert done.returncode == 1 and "model.safetensors" in done.err


# ---- the command ----

@pytest.mark.parametrize("words", [[], ["tiny"], ["a/b/c"], ["../b"], ["acme/.."], ["acme/tiny@"],
                                   ["acme/tiny@../x"], ["acme/ti ny"], ["a/b", "c/d"], ["--too", "a"]])
def test_a_bad_command_is_refused(puller, words):
    done = puller.run(*words)
    assert done.returncode == 2 and done.out == "" and done.err


def test_progress_is_one_line_on_a_terminal(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    hub.faults["model.safetensors"] = Fault(bytes_per_s=2 << 20)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([puller.bin_dir / "weft", "pull", REPO], stdout=subprocess.PIPE,
                               stderr=theirs, env=puller.environment, preexec_fn=die_with_us)
    out, _ = process.communicate(timeout=30)
    screen = os.read(ours, 1 << 16).decode()
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 0 and b"snapshots" in out
    assert re.search(r"\r\d\.?\d* .B of 3\.\d MB, \d+%, .*, 0:0\d left\033\[K", screen), screen
    assert screen.endswith("\r\033[K"), "something stays on the line"


def test_progress_is_plain_lines_where_nobody_watches(hub, puller):
    hub.publish(REPO, {**TEXTS, "model.safetensors": WEIGHTS})
    done = puller.run(REPO)
    assert "\r" not in done.err and "\033" not in done.err
    assert "model.safetensors  3.1 MB" in done.err.splitlines()


# ---- weft serve owner/name ----

@pytest.fixture
def tiny_on_hub(hub, tiny_model):
    hub.publish(REPO, {path.name: path.read_bytes() for path in tiny_model.iterdir()})


def served_from_hub(puller, *flags, model=REPO, **environment):
    served = stack.Served(puller.bin_dir, model, ["--dtype", "float32", *flags], name=REPO)
    served.environment = {**puller.environment, **environment}
    served.model = model
    return served


def test_a_model_of_the_hub_is_served(hub, puller, tiny_on_hub):
    with served_from_hub(puller) as served:
        with served.client() as client:
            assert [model.id for model in client.models.list()] == [REPO]
            assert client.completions.create(model=REPO, prompt="a", max_tokens=1).choices
    hub.forget()
    with served_from_hub(puller, HF_HUB_OFFLINE="1"):
        assert not hub.requests


def test_random_weights_are_not_downloaded(hub, puller, tiny_on_hub):
    with served_from_hub(puller, "--load-format", "dummy"):
        assert "model.safetensors" not in hub.num_sent


def test_a_folder_that_is_not_there_is_looked_for_on_the_hub_and_both_are_told(hub, puller):
    served = served_from_hub(puller, model="models/absent")
    served.launch()
    assert served.process.wait(30) == 1
    assert "there is no folder models/absent; models/absent is gated or private, or does not" \
        in served.log()
