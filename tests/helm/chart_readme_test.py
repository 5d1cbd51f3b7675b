"""The chart's README says what its values say."""

import re
import subprocess
import sys

import pytest
import yaml
from rendering import CHART, EXAMPLES, ROOT, lint, merged


def test_the_tables_of_values_are_current():
    done = subprocess.run([sys.executable, ROOT / "scripts" / "chart_readme.py", "--check"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_values_shown_in_the_readme_are_good():
    shown = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert shown
    for values in shown:
        fails, output = lint(merged({"apiKeys": {"existingSecret": "k"}}, yaml.safe_load(values)))
        assert not fails, output


@pytest.mark.parametrize("path", EXAMPLES, ids=[p.stem for p in EXAMPLES])
def test_examples_pass_lint_and_stand_in_the_readme(path):
    fails, output = lint(yaml.safe_load(path.read_text()))
    assert not fails, output
    assert f"(examples/{path.name})" in (CHART / "README.md").read_text()
