"""docs/examples: each built as its folder says, and run against real servers."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import grpc
import httpx
import pytest
import stack
from reflection import Service

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"
QUESTION = "Tom has 12 apples, buys 7 and eats 5. How many are left?"
# gRPC's headers alone take a compiler a minute when the machine is busy.
pytestmark = pytest.mark.timeout(600)


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=550, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python_client(_):
    return [sys.executable, EXAMPLES / "python" / "client.py"]


def cpp_client(folder):
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    run("cmake", "-S", EXAMPLES / "cpp", "-B", folder, "-G", "Ninja", *launcher)
    run("cmake", "--build", folder)
    return [folder / "client"]


def go_client(folder):
    wanted = re.search(r"^go (\d+)\.(\d+)", (EXAMPLES / "go" / "go.mod").read_text(), re.M)
    if not shutil.which("go"):
        pytest.skip("no Go toolchain is installed")
    found = re.search(r"go(\d+)\.(\d+)", run("go", "version"))
    if [int(part) for part in found.groups()] < [int(part) for part in wanted.groups()]:
        pytest.skip(f"Go {'.'.join(found.groups())} is older than {'.'.join(wanted.groups())}")
    modules = subprocess.run(["go", "mod", "download"], cwd=EXAMPLES / "go", timeout=300,
                             capture_output=True, text=True, check=False)
    if modules.returncode != 0:
        pytest.skip("Go cannot fetch its modules here")
    run(EXAMPLES / "go" / "build.sh", folder)
    return [folder / "client"]


@pytest.fixture(scope="module", params=["python", "cpp", "go"])
def client(request, bin_dir):
    """The words of its command line; what it is built of stays for the next time."""
    build = {"python": python_client, "cpp": cpp_client, "go": go_client}[request.param]
    return [str(word) for word in build(bin_dir.parent / "examples" / request.param)]


@pytest.fixture(scope="module")
def slow(bin_dir, tiny_model):
    """A server that has not come far in a second."""
    flags = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.001",
             "--drain-timeout", "0"]
    with stack.Served(bin_dir, tiny_model, flags) as served:
        yield served


def ids(line, output):
    return [int(word) for word in re.search(f"^{line}:(.*)", output, re.M).group(1).split()]


def test_thinking_apart_from_the_answer_and_tokens(client, served):
    output = run(*client, served.grpc_address, 60, QUESTION)
    over_http = httpx.post(f"{served.url}/v1/chat/completions", timeout=60, json={
        "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}).json()
    [choice] = over_http["choices"]
    thinking, answer, ended = re.match(
        r"thinking: (.*)\nanswer: (.*)\nended: (\w+)\n", output, re.S).groups()
    assert thinking == choice["message"]["reasoning_content"] != ""
    assert answer == choice["message"]["content"] != ""
    assert ended == choice["finish_reason"]

    with grpc.insecure_channel(served.grpc_address) as channel:
        chat = Service(channel).method("Chat")(
            messages=[{"role": "user", "content": QUESTION}],
            options={"max_tokens": 8, "temperature": 0, "return_token_ids": True})
    assert ids("tokens in", output) == list(chat.prompt_token_ids)
    assert ids("tokens out", output) == list(chat.choices[0].token_ids)


def test_the_servers_delay_is_waited_for(client, bin_dir, tiny_model):
    flags = {"worker": ["--backend", "simulated", "--max-model-len", "128"]}
    tiers = stack.Tiers(bin_dir, tiny_model, flags)
    try:
        tiers.start_tier("gateway")
        with grpc.insecure_channel(tiers.grpc_address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        with subprocess.Popen([*client, tiers.grpc_address, "60", "Hi"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "PYTHONUNBUFFERED": "1"}) as asking:
            assert asking.stderr.readline() == (
                "unavailable (The scheduler is not connected.), again in 1 s\n")
            tiers.start_tier("scheduler")
            tiers.start_tier("worker")
            output, complaint = asking.communicate(timeout=60)
            assert asking.returncode == 0, complaint
        assert len(ids("tokens out", output)) == 8
    finally:
        tiers.kill()


def test_a_deadline_is_told_and_frees_the_blocks(client, slow):
    done = subprocess.run([*client, slow.grpc_address, "1", "Hi"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert "DEADLINE_EXCEEDED: " in done.stderr
    assert "ended:" not in done.stdout
    slow.expect_rest()
