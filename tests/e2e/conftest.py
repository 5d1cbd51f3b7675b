import concurrent.futures
import functools
import os
import statistics
import time

import httpx
import pytest
import stack
import streams
import tiny_model as tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, demo_model):
    """Fast, and never done by itself under ignore_eos: for what needs time, not sense."""
    return tiny.write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", demo_model)


@pytest.fixture(scope="session")
def session_stack(bin_dir, demo_model):
    """`weft serve` with the demo model in fp32, where greedy text does not depend on
    the batch. Shared: a test that breaks something starts its own."""
    with stack.Served(bin_dir, demo_model, ["--dtype", "float32"]) as served:
        served.remember_baseline()
        yield served
        # The checks after each test see gauges that may lag; a leak stays, so this sees it.
        time.sleep(2 * stack.GAUGE_LAG_S)
        served.expect_idle()


@pytest.fixture
def served(session_stack):
    """The shared stack, at rest before and after the test (I2, I3)."""
    if session_stack.process.poll() is not None:
        pytest.fail("the shared stack is gone, see the first failure", pytrace=False)
    yield session_stack
    if session_stack.process.poll() is not None:
        pytest.fail(f"the stack ended:\n{session_stack.log()[-3000:]}", pytrace=False)
    session_stack.expect_idle()


@pytest.fixture
def client(served):
    with served.client() as client:
        yield client


@pytest.fixture(scope="session", params=["fp32", "simulated"])
def worker_flags(request):
    """The workers of which not a token may be altered."""
    return {"fp32": streams.FAST, "simulated": streams.SIMULATED}[request.param]


@functools.cache
def texts_of(bin_dir, model, flags):
    def ask(number):
        answer = httpx.post(f"{served.url}/v1/completions", timeout=60,
                            json=streams.body(number, False))
        return answer.json()["choices"][0]["text"]
    with stack.Served(bin_dir, model, flags) as served, \
            concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(ask, range(streams.NUM_STREAMS)))


@pytest.fixture(scope="session")
def undisturbed(bin_dir, tiny_model):
    """What each of the streams says when nothing happens."""
    return texts_of(bin_dir, tiny_model, tuple(streams.FAST))


@pytest.fixture(scope="session")
def undisturbed_by_worker(bin_dir, tiny_model, worker_flags):
    return texts_of(bin_dir, tiny_model, tuple(worker_flags))


# ---- figures of faults ----

MEASURED = {}


@pytest.fixture
def figures():
    """figures(what, seconds): for the table at the end."""
    return lambda what, seconds: MEASURED.setdefault(what, []).append(seconds)


def pytest_generate_tests(metafunc):
    if metafunc.definition.get_closest_marker("repeated") and os.environ.get("WEFT_SOAK"):
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(10))


def pytest_terminal_summary(terminalreporter):
    if not MEASURED:
        return
    terminalreporter.section("seconds: median, longest, of how many")
    width = max(map(len, MEASURED))
    for what, seconds in sorted(MEASURED.items()):
        terminalreporter.write_line(f"{what:{width}} {statistics.median(seconds):5.2f} "
                                    f"{max(seconds):5.2f} {len(seconds):3}")
