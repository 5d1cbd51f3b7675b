"""The official Node client. Node is not on a fresh Debian: part of `make soak`."""

import json
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"


@pytest.mark.soak
def test_the_node_client_streaming_and_not(served, tmp_path):
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(FOLDER / name, tmp_path / name)
    installed = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=tmp_path,
                               capture_output=True, text=True, timeout=110, check=False)
    if installed.returncode != 0:
        pytest.skip("npm cannot install the openai package here")
    done = subprocess.run(["node", "client.mjs", f"{served.url}/v1", served.served_name],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["whole"]["reasoning_content"] == said["streamed"]["reasoning"] != ""
    assert (said["whole"]["content"] or "") == said["streamed"]["content"]
    assert said["streamed"]["finish"] in (["stop"], ["length"])
    assert said["streamed"]["usage"]["total_tokens"] == said["usage"]["total_tokens"]
    assert said["refused"] == {"status": 400, "param": "temperature"}
    assert said["models"] == [served.served_name]
    assert isinstance(said["completion"], str)
