"""The simulations find bugs: each of these, planted into a copy of the source, breaks a rule within
a thousand seeds. Those of the core are found by both of them."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NUM_SEEDS = 1000

# What goes wrong: (file, what stands there, what shall stand there instead).
BUGS = {
    "a block is published before it is computed": (
        "scheduler/core/plan.cc",
        "  if (samples) ++sequence.num_owed_tokens;\n",
        "  if (samples) ++sequence.num_owed_tokens;\n"
        "  if (samples && config_.enable_prefix_cache) {\n"
        "    const int num_full = std::min(end, sequence.num_known_tokens()) / kBlockTokens;\n"
        "    HashFullBlocks(sequence, num_full);\n"
        "    for (int& i = sequence.num_published_blocks; i < num_full; ++i) {\n"
        "      sequence.table.Publish(i, sequence.hashes[i]);\n"
        "    }\n"
        "  }\n"),
    "a token goes to the next owner of its row's place": (
        "scheduler/core/apply.cc",
        "    if (sequence.key.arrival != row.arrival) {\n",
        "    if (sequence.key.arrival < row.arrival) {\n"),
    "a parked sequence cannot be cancelled": (
        "scheduler/core/apply.cc",
        "  if (sequence != nullptr) Finish(*sequence, FinishReason::kCancelled, now, out);\n",
        "  if (sequence != nullptr && sequence->phase != Phase::kParked) {\n"
        "    Finish(*sequence, FinishReason::kCancelled, now, out);\n"
        "  }\n"),
    "what a lost gateway had asked for runs on": (
        "scheduler/rpc/group.cc",
        "  for (core::SequenceId id : live) core_.Apply(core::Cancel{.id = id}, now_, outputs_);\n",
        ""),
    "who had begun is forgotten when a stream breaks": (
        "gateway/upstream/session.cc",
        "    sequence.handle = 0;\n"
        "    waiting_.insert(id);\n"
        "    if (!sequence.recover_by",
        "    sequence.handle = 0;\n"
        "    if (sequence.delivered.empty()) waiting_.insert(id);\n"
        "    if (!sequence.recover_by"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources, configured, with the simulations built as they are."""
    folder = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(["git", "ls-files", "-z", "--cached"], cwd=ROOT, check=True,
                            capture_output=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".deps").symlink_to((ROOT / ".deps").resolve())
    run(["cmake", "--preset", "cpu"], folder)
    build(folder, simulations("/core/"))
    return folder


def run(command, folder):
    environment = dict(os.environ, CCACHE_BASEDIR=str(folder), CCACHE_NOHASHDIR="1")
    environment.pop("WEFT_SOAK", None)
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    return done.returncode, done.stdout


def simulations(name):
    """That know the file."""
    return ["fault_simulation_test", *(["core_simulation_test"] if "/core/" in name else [])]


def build(folder, targets):
    code, output = run(["cmake", "--build", "build/cpu", "--target", *targets], folder)
    assert code == 0, output[-3000:]


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(copy, bug):
    name, before, after = BUGS[bug]
    source = copy / name
    original = source.read_text()
    assert original.count(before) == 1, f"{name} has changed: plant the bug elsewhere"
    source.write_text(original.replace(before, after))
    try:
        build(copy, simulations(name))
        for simulation in simulations(name):
            code, output = run([f"build/cpu/test/{simulation}", f"--seeds={NUM_SEEDS}"], copy)
            assert code != 0, f"not found by {simulation}"
            # Broken rules, or a check of the core's own that ended the process.
            found = re.search(r"replay with --seed=(\d+)", output)
            print(f"{bug}: {simulation}, seed {found.group(1) if found else 'unknown'}")
            assert found or code < 0, output[-2000:]
    finally:
        source.write_text(original)
