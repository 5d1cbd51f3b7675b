"""`weft simulate` from the outside: its files, its exit codes, one seed one result."""

import json
import subprocess
import xml.etree.ElementTree


def simulate(bin_dir, *words, code=0):
    done = subprocess.run([bin_dir / "weft", "simulate", *map(str, words)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


LOAD = ["--num-prompts", 200, "--request-rate", 50, "--random-input-len", "uniform:10-900",
        "--random-output-len", "lognormal:80,0.5"]


def test_one_seed_is_one_result(bin_dir, tmp_path):
    first = simulate(bin_dir, *LOAD, "--json", tmp_path / "a.json", "--svg", tmp_path / "a.svg")
    again = simulate(bin_dir, *LOAD, "--json", tmp_path / "b.json")
    other = simulate(bin_dir, *LOAD, "--seed", 1)
    assert first.stdout == again.stdout != other.stdout
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    results = json.loads((tmp_path / "a.json").read_text())
    assert (results["completed"], results["rejected"], results["failed"]) == (200, 0, 0)
    assert f"{results['output_throughput']:.2f}" in first.stdout
    assert "█" in first.stdout
    assert xml.etree.ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_a_recorded_load(bin_dir, tmp_path):
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at": 3, "input": 100, "output": 5}\n{"at": 4, "input": 0, "output": 5}\n')
    done = simulate(bin_dir, "--trace", trace, code=2)
    assert f"--trace {trace} line 2: input" in done.stderr
    trace.write_text('{"at": 3, "input": 100, "output": 5}\n{"at": 4, "input": 9, "output": 5}\n')
    simulate(bin_dir, "--trace", trace, "--json", tmp_path / "a.json")
    results = json.loads((tmp_path / "a.json").read_text())
    assert (results["total_input_tokens"], results["total_output_tokens"]) == (109, 10)


def test_a_replay(bin_dir):
    done = simulate(bin_dir, "--replay", 4711)
    for simulated in ("The core, seed 4711", "All tiers, seed 4711"):
        assert simulated in done.stdout
    assert done.stdout.count("Every rule held.") == 2
    assert "--gpu" in simulate(bin_dir, "--replay", 4711, "--gpu", "T4", code=2).stderr
