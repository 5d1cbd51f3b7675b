"""Running `weft bench`."""

import json
import subprocess


def bench(bin_dir, url, *words, limit_s=60):
    return subprocess.run([bin_dir / "weft", "bench", "--base-url", url, *map(str, words)],
                          capture_output=True, text=True, timeout=limit_s, check=False)


def measure(bin_dir, tmp_path, url, *words, code=0, limit_s=60):
    """Its JSON and its table."""
    done = bench(bin_dir, url, *words, "--json", tmp_path / "results.json", limit_s=limit_s)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads((tmp_path / "results.json").read_text()), done.stdout
