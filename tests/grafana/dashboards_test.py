"""The dashboards as files: what Grafana's own linter asks for, and that they are what
make_dashboards.py makes."""

import json
import re

import prometheus_server
import pytest
import source_metrics
from prometheus_server import preview

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in preview.dashboards()}
PANELS = [pytest.param(uid, panel, id=f"{uid}: {panel['title']}")
          for uid, dashboard in DASHBOARDS.items() for panel in preview.panels(dashboard)]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# https://grafana.com/docs: units that are in use here. A unit that Grafana does not know is shown
# as it is spelled.
UNITS = {"short", "s", "bytes", "percentunit", "reqps", "cps", "ops", "watt", "celsius",
         "si:tok/s"}
# Of no model: HTTP before it is known, and whole processes.
WITHOUT_MODEL = re.compile(r"process_\w+|weft_build_info|"
                           r"weft_gateway_(http|tls|auth|api|limited|draining)\w*")


def test_the_files_are_what_the_script_makes():
    import make_dashboards
    assert set(DASHBOARDS) == set(make_dashboards.DASHBOARDS)
    for uid in DASHBOARDS:
        committed = (preview.FOLDER / f"{uid}.json").read_text()
        assert committed == make_dashboards.text_of(uid), f"run {make_dashboards.__file__}"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_datasource_namespace_and_model_are_variables(uid):
    dashboard = DASHBOARDS[uid]
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert list(variables) == ["datasource", "namespace", "model"]
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("namespace", "model"):
        assert variables[name]["datasource"] == DATASOURCE
        assert variables[name]["multi"] and variables[name]["allValue"] == ".*"
    assert dashboard["title"].startswith("Weft") and "weft" in dashboard["tags"]
    assert dashboard["editable"] is False and "id" not in dashboard
    # Nobody's own Grafana shows: a data source is only ever the variable.
    text = json.dumps(dashboard)
    assert set(re.findall(r'"uid": "([^"]+)"', text)) == {uid, "${datasource}"}


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panels_lie_side_by_side(uid):
    taken = set()
    ids = [panel["id"] for panel in DASHBOARDS[uid]["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in preview.panels(DASHBOARDS[uid])]
    assert len(titles) == len(set(titles))
    for panel in DASHBOARDS[uid]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells


@pytest.mark.parametrize("uid, panel", PANELS)
def test_a_panel_says_what_it_shows_and_in_which_unit(uid, panel):
    assert panel["title"] and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"] == DATASOURCE
    assert panel["targets"], "no query"
    refs = [target["refId"] for target in panel["targets"]]
    assert len(refs) == len(set(refs))
    for target in panel["targets"]:
        assert target["datasource"] == DATASOURCE
        assert target["legendFormat"]


def selectors(expr):
    """[(metric, what stands in its braces)]"""
    return re.findall(r"\b((?:weft|process|DCGM_FI)_\w+)(?:\{([^}]*)\})?", expr)


@pytest.mark.parametrize("uid, panel", PANELS)
def test_queries_follow_the_variables(uid, panel):
    for target in panel["targets"]:
        for metric, within in selectors(target["expr"]):
            if metric.startswith("DCGM_FI_"):
                assert "and on (UUID) weft_worker_gpu" in target["expr"], metric
                continue
            assert 'namespace=~"$namespace"' in within, metric
            if not WITHOUT_MODEL.fullmatch(metric):
                assert 'model=~"$model"' in within, metric
        # A window must hold at least two scrapes, whatever their interval is; fixed ones are for
        # what is promised over a fixed time.
        for window in re.findall(r"\[([^\]]+)\]", target["expr"]):
            assert window in ("$__rate_interval", "$__range", "5m", "1h", "6h"), window
        # Counters only ever as a rate, and a rate of nothing else.
        assert not re.findall(r"\b\w+_total\b(?!\{[^}]*\}\[)", target["expr"])
        for name in re.findall(r"(?:rate|increase)\((\w+)", target["expr"]):
            assert name.endswith(("_total", "_bucket", "_sum", "_count")), name


def test_queries_are_promql(tmp_path):
    rules = [{"record": f"panel:{number}:{index}",
              "expr": preview.substitute(target["expr"], 60, 3600)}
             for number, panel in enumerate(PANELS)
             for index, target in enumerate(panel.values[1]["targets"])]
    path = tmp_path / "rules.yaml"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in prometheus_server.promtool("check", "rules", path)


def test_nothing_is_measured_that_no_dashboard_shows():
    shown = set()
    for _, panel in (one.values for one in PANELS):
        for target in panel["targets"]:
            shown |= source_metrics.in_query(target["expr"])
    unseen = {name for name in source_metrics.in_sources() if name.startswith("weft_")} - shown
    assert unseen == {
        "weft_gateway_upstream_rpc_duration_seconds",  # how long streams to schedulers lived
        "weft_scheduler_request_",  # the common beginning of names
    }
