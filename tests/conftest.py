"""What every test that crosses a process needs: the build under test, and models.

WEFT_BUILD names the build folder (default: build/cpu). Without its binaries the
tests fail: they are the point.
"""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def bin_dir():
    build = pathlib.Path(os.environ.get("WEFT_BUILD", ROOT / "build" / "cpu"))
    folder = build / "bin"
    for name in ("weft", "weft-gateway", "weft-scheduler", "weft-worker"):
        if not (folder / name).exists():
            pytest.fail(f"{folder / name} is not built", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def demo_model():
    """The model that `make serve` serves."""
    return ROOT / "models" / "weft-demo-r1"


@pytest.fixture(scope="session")
def math_model():
    """The one with Qwen2.5's template and no reasoning."""
    return ROOT / "models" / "weft-demo-math"
