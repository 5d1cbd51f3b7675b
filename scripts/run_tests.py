#!/usr/bin/env python3
"""Runs every test of a build and ends in one line: `N passed, N failed`.

  scripts/run_tests.py --build build/cpu [--soak] [--only PATTERN]

Three kinds: GoogleTest binaries in <build>/test, Node's tests of the playground's
scripts, pytest under models/train and tests, and nothing else. A test that cannot run here is skipped with its reason,
and the reasons are listed before the last line. So are the tests of real processes that passed only when they were
run again, by themselves: a busy machine can make one late, but each is a fault of the test or of what it tests.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A binary that hangs must fail, not block: far above what any takes.
BINARY_TIMEOUT_S = 900
SOAK_TIMEOUT_S = 7200
# More failures than this are no chance.
MOST_RUN_AGAIN = 3


class Tally:
    def __init__(self):
        self.passed = 0
        self.unsteady = []
        self.failed = []
        self.skipped = []

    def add(self, name, outcome, detail=""):
        if outcome == "passed":
            self.passed += 1
        elif outcome == "skipped":
            self.skipped.append((name, detail))
        else:
            self.failed.append(name)

    def merge(self, other):
        self.passed += other.passed
        self.unsteady += other.unsteady
        self.failed += other.failed
        self.skipped += other.skipped


def run_binary(path, environment):
    """Runs one GoogleTest binary; returns (path, seconds, output, [(name, outcome, detail)])."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        start = time.monotonic()
        limit_s = SOAK_TIMEOUT_S if "WEFT_SOAK" in environment else BINARY_TIMEOUT_S
        try:
            done = subprocess.run(
                [path, f"--gtest_output=json:{report.name}", "--gtest_brief=1"],
                env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=limit_s, check=False)
            output, code = done.stdout.decode(errors="replace"), done.returncode
        except subprocess.TimeoutExpired as expired:
            output = (expired.stdout or b"").decode(errors="replace")
            output += f"\n{path.name}: still running after {limit_s} s\n"
            code = -1
        seconds = time.monotonic() - start
        results = []
        try:
            suites = json.load(open(report.name))["testsuites"]
        except (ValueError, OSError):
            suites = []
        for suite in suites:
            for test in suite["testsuite"]:
                name = f"{path.name}: {suite['name']}.{test['name']}"
                if test.get("failures"):
                    results.append((name, "failed", ""))
                elif test.get("result") == "SKIPPED":
                    results.append((name, "skipped", skip_reason(test, output)))
                elif test.get("result") == "COMPLETED":
                    results.append((name, "passed", ""))
        # A crash leaves no report, or one without the test that crashed.
        if code != 0 and not any(outcome == "failed" for _, outcome, _ in results):
            results.append((f"{path.name} (exit code {code})", "failed", ""))
        if code == 0 and not results:
            results.append((f"{path.name} (ran no test)", "failed", ""))
        return path, seconds, output, results


def skip_reason(test, output):
    for skip in test.get("skipped", []):
        return skip["message"].strip().splitlines()[-1]
    found = re.search(r"Skipped\n(.*)", output)
    return found.group(1).strip() if found else ""


def run_binaries(build, environment, tally, pattern):
    binaries = sorted(p for p in (build / "test").glob("*") if os.access(p, os.X_OK) and p.is_file())
    binaries = [p for p in binaries if re.search(pattern, p.name)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, seconds, output, results in pool.map(
                lambda p: run_binary(p, environment), binaries):
            failed = [r for r in results if r[1] == "failed"]
            print(f"{'FAIL' if failed else 'ok  '} {path.name:32} {len(results):4} tests"
                  f" {seconds:6.1f} s", flush=True)
            if failed:
                print(output, flush=True)
            for result in results:
                tally.add(*result)


def add_junit_cases(report, tally, prefix=""):
    """Tallies a JUnit file's tests; returns how many there are."""
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    except (xml.etree.ElementTree.ParseError, OSError):
        cases = []
    for case in cases:
        name = prefix + ".".join(filter(None, [case.get("classname"), case.get("name")]))
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.add(name, "failed")
        elif skipped is not None:
            tally.add(name, "skipped", skipped.get("message", ""))
        else:
            tally.add(name, "passed")
    return len(cases)


def run_node(folder, environment, tally, pattern):
    """Runs the folder's *_test.js; they find npm's packages in WEFT_NODE_MODULES."""
    if not re.search(pattern, folder):
        return
    own = ROOT / ".deps" / "venv" / "bin" / "node"
    node = str(own) if own.exists() else "node"
    modules = ROOT / "build" / "npm" / pathlib.Path(folder).name / "node_modules"
    tests = sorted(str(path) for path in (ROOT / folder).glob("*_test.js"))
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        start = time.monotonic()
        done = subprocess.run(
            [node, "--test", "--test-reporter=spec", "--test-reporter-destination=stdout",
             "--test-reporter=junit", f"--test-reporter-destination={report.name}", *tests],
            env=dict(environment, WEFT_NODE_MODULES=str(modules)), cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        failed_before = len(tally.failed)
        count = add_junit_cases(report.name, tally, f"{folder}: ")
        if (done.returncode != 0 or count == 0) and len(tally.failed) == failed_before:
            tally.add(f"node {folder} (exit code {done.returncode}, {count} tests)", "failed")
        failed = len(tally.failed) > failed_before
        print(f"{'FAIL' if failed else 'ok  '} node {folder:27} {count:4} tests"
              f" {time.monotonic() - start:6.1f} s", flush=True)
        if failed:
            print(done.stdout.decode(errors="replace"), flush=True)


def run_pytest(folder, environment, tally, pattern, soak):
    if not re.search(pattern, folder):
        return
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pytest", folder, "-q", "--no-header",
                   "-o", f"cache_dir={scratch}/cache"]
        if not soak:
            command += ["-m", "not soak"]

        def run(report, *options):
            done = subprocess.run([*command, f"--junitxml={scratch}/{report}", *options],
                                  env=environment, cwd=ROOT, check=False)
            result = Tally()
            count = add_junit_cases(f"{scratch}/{report}", result)
            if done.returncode != 0 and not result.failed:
                result.failed.append(f"pytest {folder} (exit code {done.returncode})")
            return result, count

        result, count = run("first.xml")
        if 0 < len(result.failed) <= MOST_RUN_AGAIN:
            again, _ = run("again.xml", "--last-failed", "--last-failed-no-failures=none")
            if not again.failed:
                result.passed += len(result.failed)
                result.unsteady, result.failed = result.failed, []
        tally.merge(result)
        print(f"{'FAIL' if result.failed else 'ok  '} pytest {folder:25} {count:4} tests"
              f" {time.monotonic() - start:6.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--only", default="", metavar="PATTERN",
                        help="regular expression on test binaries' and pytest folders' names")
    options = parser.parse_args()

    environment = dict(os.environ, WEFT_BUILD=str(options.build.resolve()), PYTHONDONTWRITEBYTECODE="1")
    if options.soak:
        environment["WEFT_SOAK"] = "1"
    tally = Tally()
    run_binaries(options.build, environment, tally, options.only)
    run_node("gateway/playground", environment, tally, options.only)
    for folder in ("models/train", "tests"):
        if list((ROOT / folder).glob("**/*_test.py")) or list((ROOT / folder).glob("**/test_*.py")):
            run_pytest(folder, environment, tally, options.only, options.soak)

    reasons = {}
    for name, detail in tally.skipped:
        reasons.setdefault(detail or "no reason given", []).append(name)
    for reason, names in reasons.items():
        print(f"skipped {len(names)}: {reason}")
    for name in tally.unsteady:
        print(f"unsteady: {name}")
    for name in tally.failed:
        print(f"failed: {name}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
