"""The rules: that promtool takes them, that each alert has a runbook and a test, and that they
promise what the dashboards show."""

import pathlib
import re

import prometheus_server
import pytest
import source_metrics
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
         for rule in group["rules"]]
ALERTS = {f"{rule['alert']} {rule['labels'].get('window', '')}".strip(): rule
          for rule in RULES if "alert" in rule}


def test_rules_and_configuration_are_valid():
    assert f"{len(RULES)} rules found" in prometheus_server.promtool(
        "check", "rules", FOLDER / "alerts.yaml")
    prometheus_server.promtool("check", "config", FOLDER / "prometheus.yml")


def test_alerts_come_when_they_should_and_only_then():
    prometheus_server.promtool("test", "rules", FOLDER / "alerts_test.yaml")


def test_every_alert_is_expected_somewhere_in_the_tests():
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    said = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
            if case["exp_alerts"]}
    assert said == {rule["alert"] for rule in ALERTS.values()}
    windows = set(re.findall(r'window="(\w+)"', (FOLDER / "alerts_test.yaml").read_text()))
    assert windows == {rule["labels"]["window"] for rule in ALERTS.values()
                       if "window" in rule["labels"]}


def anchors(markdown):
    """Of its headings, as they are made from them."""
    heads = re.findall(r"^#+ (.*)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "ticket")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, anchor = notes["runbook_url"].split("#")
    assert anchor == alert["alert"].lower()
    assert anchor in anchors((ROOT / page).read_text()), f"no runbook for {name}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_metrics_that_exist(rule):
    names = {name for name in source_metrics.in_query(rule["expr"]) if name.startswith("weft_")}
    assert names <= source_metrics.in_sources()
    # Recorded ones are recorded here.
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert set(re.findall(r"weft:[\w:]+", rule["expr"])) <= recorded


def test_dashboards_show_what_is_promised():
    import make_dashboards
    budgets = {rule["labels"]["slo"]: rule["expr"] for rule in RULES
               if rule.get("record") == "weft:slo_budget:ratio"}
    assert budgets == {"availability": f"vector({make_dashboards.AVAILABILITY_BUDGET})",
                       "ttft": f"vector({make_dashboards.TTFT_BUDGET})"}
    late = next(rule["expr"] for rule in RULES if rule.get("record") == "weft:slo_errors:rate5m"
                and rule["labels"]["slo"] == "ttft")
    assert f'le="{make_dashboards.TTFT_SECONDS}"' in late
