"""Prometheus as people run it, and promtool. Both are the system's or the ones that `make setup`
unpacks under .deps; all that a server writes lies in a folder of its own.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
import stack

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".deps/prometheus/usr/bin"
sys.path.insert(0, str(ROOT / "deploy" / "grafana"))

import preview  # noqa: E402  (it asks a Prometheus as a dashboard does)


def binary(name):
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    if not found:
        pytest.fail(f"no {name}: run `make setup`", pytrace=False)
    return found


def promtool(*words, text=None):
    """Its output; AssertionError unless it is content."""
    done = subprocess.run([binary("promtool"), *map(str, words)], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Server(preview.Prometheus):
    """Runs while the `with` does. `targets` are the ports of each job."""

    def __init__(self, targets, rules, labels):
        [self.port] = stack.free_ports(1)
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.folder = tempfile.TemporaryDirectory(prefix="weft-prometheus-")
        self.log_path = pathlib.Path(self.folder.name) / "log"
        self.config = pathlib.Path(self.folder.name) / "prometheus.yml"
        # JSON is YAML.
        self.config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [
                    {"targets": [f"127.0.0.1:{port}" for port in ports], "labels": labels}]}
                for job, ports in targets.items()]}))
        self.process = None

    def answers(self):
        try:
            return self.query("vector(1)")
        except OSError:
            return None

    def __enter__(self):
        self.process = subprocess.Popen(
            [binary("prometheus"), f"--config.file={self.config}",
             f"--storage.tsdb.path={self.folder.name}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=self.log_path.open("wb"),
            preexec_fn=stack.die_with_us)
        assert stack.eventually(self.answers, 20), self.log_path.read_text()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()
