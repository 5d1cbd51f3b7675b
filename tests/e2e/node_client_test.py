"""The official Node client. Node and npm come with the tests' wheels."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
ROOT = FOLDER.parents[2]
VENV = ROOT / ".deps" / "venv" / "bin"


def tool(name):
    """The one of the tests' own environment, else the machine's."""
    own = VENV / name
    found = str(own) if own.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def client_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(FOLDER / name, folder / name)
    # npm's own scripts look for node beside it.
    path = os.pathsep.join([os.path.dirname(tool("node")), os.environ["PATH"]])
    installed = subprocess.run(
        [tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=110,
        check=False)
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install the openai package here: {installed.stderr[-300:]}")
    return folder


def test_the_node_client_streaming_and_not(served, client_dir):
    done = subprocess.run([tool("node"), "client.mjs", f"{served.url}/v1", served.served_name],
                          cwd=client_dir, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["whole"]["reasoning_content"] == said["streamed"]["reasoning"] != ""
    assert (said["whole"]["content"] or "") == said["streamed"]["content"]
    assert said["streamed"]["finish"] in (["stop"], ["length"])
    assert said["streamed"]["usage"]["total_tokens"] == said["usage"]["total_tokens"]
    assert isinstance(said["parsed"]["sum"], int)
    assert isinstance(said["completion"], str)
    assert said["response"]["status"] == "completed"
    assert said["response"]["text"] == said["streamedResponse"]["text"] != ""
    assert said["response"]["usage"]["total_tokens"] > 0
    assert said["streamedResponse"]["types"][0] == "response.created"
    assert said["streamedResponse"]["types"][-1] == "response.completed"
    assert isinstance(said["parsedResponse"]["sum"], int)
    # What had arrived when its reader left is still handed out.
    assert 3 <= said["aborted"] < 100
    assert said["refused"] == {"status": 400, "param": "temperature"}
    assert said["gone"]["status"] == 404
    assert said["models"] == [served.served_name]
    assert said["model"] == served.served_name
