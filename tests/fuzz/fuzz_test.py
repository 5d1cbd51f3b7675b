"""Coverage-guided fuzzing, ten minutes a target (WEFT_FUZZ_SECONDS): `make soak` builds
the fuzzers by `make fuzzers`. What libFuzzer learns stays in build/fuzz/corpus, a finding
in build/fuzz/findings; it becomes a seed in tests/fuzz/corpus once it is repaired."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = ROOT / "tests/fuzz/corpus"
BUILD = ROOT / "build/fuzz"
SECONDS = int(os.environ.get("WEFT_FUZZ_SECONDS", 600))


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("target", sorted(path.name for path in SEEDS.iterdir()))
def test_no_finding(target):
    binary = BUILD / "bin" / target
    if not binary.exists():
        pytest.fail(f"{binary} is not built: run `make fuzzers`", pytrace=False)
    learned, findings = BUILD / "corpus" / target, BUILD / "findings"
    learned.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    # Nothing of a few kilobytes takes ten seconds or half a gigabyte.
    done = subprocess.run(
        [binary, learned, SEEDS / target, f"-max_total_time={SECONDS}", "-max_len=4096",
         "-timeout=10", "-rss_limit_mb=2048", f"-artifact_prefix={findings}/{target}-",
         f"-dict={ROOT / 'tests/fuzz/words.dict'}", "-print_final_stats=1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output[-6000:]
    runs = int(re.search(r"stat::number_of_executed_units:\s*(\d+)", output).group(1))
    print(f"{target}: {runs} runs")
    assert runs > 1000, output[-2000:]
