import time

import pytest
import stack
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
