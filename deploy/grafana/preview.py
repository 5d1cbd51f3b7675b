#!/usr/bin/env python3
"""Draws the dashboards from a Prometheus, without Grafana: one HTML page of small charts.

  deploy/grafana/preview.py --prometheus http://127.0.0.1:9090 --out dashboards.html

Shows what each panel's queries give, with the variables at All; good for judging a query, and for
seeing which panel stays empty.
"""

import argparse
import html
import json
import math
import pathlib
import re
import time
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(__file__).resolve().parent
COLOURS = ["#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#e02f44", "#f2cc0c", "#37872d", "#705da0"]


# ---- what Grafana does with a query ----

def dashboards():
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def substitute(expr, rate_interval_s, range_s, namespace=".*", model=".*"):
    for name, value in (("$__rate_interval", f"{rate_interval_s}s"), ("$__range", f"{range_s}s"),
                        ("$namespace", namespace), ("$model", model)):
        expr = expr.replace(name, value)
    return expr


class Prometheus:
    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def query(self, expr):
        """[(labels, value)] now."""
        return [(one["metric"], float(one["value"][1]))
                for one in self.ask("query", query=expr)["result"]]

    def range(self, expr, begin, end, step):
        """[(labels, [(time, value)])]"""
        found = self.ask("query_range", query=expr, start=begin, end=end, step=step)["result"]
        return [(one["metric"], [(at, float(value)) for at, value in one["values"]])
                for one in found]


# ---- drawing ----

def shown(value, unit):
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "s":
        for limit, scale, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"),
                                   (7200, 1 / 60, "min"), (172800, 1 / 3600, "h")):
            if abs(value) < limit:
                return f"{value * scale:.3g} {name}"
        return f"{value / 86400:.3g} d"
    suffix = {"bytes": "B", "reqps": "/s", "cps": "/s", "ops": "/s", "watt": "W",
              "celsius": "°C"}.get(unit, unit.removeprefix("si:") if ":" in unit else "")
    for limit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {name}{suffix}"
    return f"{value:.3g} {suffix}".rstrip()


def legend_of(target, labels):
    def value(label):
        return labels.get(label.group(1), "")
    return re.sub(r"{{(\w+)}}", value, target["legendFormat"]).strip()


HEIGHT, LEFT, BOTTOM = 150, 58, 16


def width_of(panel):
    return 53 * panel["gridPos"]["w"]  # of the grid's 24 columns, as wide as a screen


def axes(width, top, begin, end, unit):
    lines = []
    for part in (0, 0.5, 1):
        y = (HEIGHT - BOTTOM) * (1 - part) + 4
        lines.append(f'<line x1="{LEFT}" x2="{width}" y1="{y}" y2="{y}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 4}" y="{y + 3}" text-anchor="end">'
                     f"{html.escape(shown(top * part, unit))}</text>")
    for part, anchor in ((0, "start"), (1, "end")):
        at = time.strftime("%H:%M:%S", time.localtime(begin + part * (end - begin)))
        lines.append(f'<text x="{LEFT + part * (width - LEFT)}" y="{HEIGHT + 6}" '
                     f'text-anchor="{anchor}">{at}</text>')
    return "".join(lines)


def chart(series, panel, begin, end):
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal"
    sums, lines = {}, []
    for name, points in series:
        line = []
        for at, value in points:
            if not math.isfinite(value):
                continue
            if stacked:
                sums[at] = value = sums.get(at, 0) + value
            line.append((at, value))
        lines.append((name, line))
    values = [value for _, line in lines for _, value in line]
    width = width_of(panel)
    top = max([defaults.get("max", 0), *values]) * (1 if "max" in defaults else 1.1) or 1

    def place(at, value):
        x = LEFT + (at - begin) / (end - begin) * (width - LEFT)
        return f"{x:.1f},{(HEIGHT - BOTTOM) * (1 - value / top) + 4:.1f}"

    drawn = [axes(width, top, begin, end, defaults["unit"])]
    legend = []
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" '
                     f'points="{" ".join(place(*point) for point in line)}"/>')
        last = shown(series[number][1][-1][1], defaults["unit"])
        legend.append(f'<span><i style="background:{colour}"></i>{html.escape(name)} '
                      f"<b>{html.escape(last)}</b></span>")
    return (f'<svg viewBox="0 0 {width} {HEIGHT + 10}">{"".join(drawn)}</svg>'
            f'<div class="legend">{"".join(legend)}</div>')


def heatmap(series, panel, begin, end):
    """Cumulative buckets as counts by bucket."""
    rows = sorted((float(labels.get("le", "inf")), dict(points)) for labels, points in series)
    times = sorted({at for _, points in rows for at in points})
    counts, below = [], {}
    for edge, points in rows:
        counts.append((edge, {at: max(0, points.get(at, 0) - below.get(at, 0)) for at in times}))
        below = points
    most = max([count for _, row in counts for count in row.values()] + [1e-9])
    used = [number for number, (_, row) in enumerate(counts) if any(row.values())]
    counts = counts[used[0]:used[-1] + 1] if used else counts
    height = (HEIGHT - BOTTOM) / len(counts)
    whole = width_of(panel)
    width = (whole - LEFT) / max(1, len(times))
    drawn = []
    for number, (edge, row) in enumerate(counts):
        y = (HEIGHT - BOTTOM) - (number + 1) * height + 4
        drawn.append(f'<text x="{LEFT - 4}" y="{y + height / 2 + 3}" text-anchor="end">≤ '
                     f'{html.escape(shown(edge, panel["fieldConfig"]["defaults"]["unit"]))}</text>')
        for at, count in row.items():
            if count > 0:
                x = LEFT + (at - begin) / (end - begin) * (whole - LEFT)
                drawn.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                             f'height="{height:.1f}" fill="#1f60c4" '
                             f'opacity="{0.08 + 0.92 * count / most:.2f}"/>')
    return f'<svg viewBox="0 0 {whole} {HEIGHT + 10}">{"".join(drawn)}</svg>'


def stats(found, panel):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    return '<div class="stats">' + "".join(
        f"<div><b>{html.escape(shown(value, unit))}</b><small>{html.escape(name)}</small></div>"
        for name, value in found) + "</div>"


def table(columns, panel):
    units = {one["matcher"]["options"]: one["properties"][0]["value"]
             for one in panel["fieldConfig"]["overrides"]}
    rows = sorted({labels.get("model", "") for _, found in columns for labels, _ in found})
    head = "".join(f"<th>{html.escape(name)}</th>" for name, _ in columns)
    lines = []
    for row in rows:
        cells = []
        for name, found in columns:
            value = next((v for labels, v in found if labels.get("model", "") == row), math.nan)
            cells.append(f"<td>{html.escape(shown(value, units.get(name, 'short')))}</td>")
        lines.append(f"<tr><td>{html.escape(row)}</td>{''.join(cells)}</tr>")
    return f"<table><tr><th>Model</th>{head}</tr>{''.join(lines)}</table>"


def body_of(panel, prometheus, begin, end, rate_interval_s):
    def expr(target):
        return substitute(target["expr"], rate_interval_s, int(end - begin))

    if panel["type"] == "table":
        return table([(target["legendFormat"], prometheus.query(expr(target)))
                      for target in panel["targets"]], panel)
    if panel["type"] == "stat":
        return stats([(legend_of(target, labels), value) for target in panel["targets"]
                      for labels, value in prometheus.query(expr(target))], panel)
    step = max(1, (end - begin) / 100)
    found = [(target, prometheus.range(expr(target), begin, end, step))
             for target in panel["targets"]]
    if not any(series for _, series in found):
        return ""
    if panel["type"] == "heatmap":
        return heatmap(found[0][1], panel, begin, end)
    return chart([(legend_of(target, labels), points) for target, series in found
                  for labels, points in series], panel, begin, end)


STYLE = """
body { font: 13px sans-serif; margin: 16px; color: #222 }
h1 { font-size: 18px } h2 { font-size: 14px; grid-column: 1 / -1; margin: 8px 0 0 }
main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px }
section { border: 1px solid #ccc; border-radius: 3px; padding: 6px; overflow: hidden }
h3 { font-size: 12px; margin: 0 } p { color: #777; font-size: 11px; margin: 2px 0 4px }
svg { width: 100%; font-size: 9px } .legend { font-size: 10px; line-height: 1.5 }
.legend span { margin-right: 10px; white-space: nowrap }
.legend i { display: inline-block; width: 10px; height: 3px; margin-right: 3px }
.stats { display: flex; flex-wrap: wrap; gap: 12px } .stats b { display: block; font-size: 20px }
table { width: 100%; border-collapse: collapse } td, th { text-align: left; padding: 3px }
.empty { color: #999; font-size: 20px }
"""


def page(prometheus, minutes, rate_interval_s):
    end = time.time()
    begin = end - minutes * 60
    parts = [f"<!doctype html><meta charset=utf-8><title>Weft</title><style>{STYLE}</style>"]
    for dashboard in dashboards():
        parts.append(f"<h1>{html.escape(dashboard['title'])}</h1><main>")
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                parts.append(f"<h2>{html.escape(panel['title'])}</h2>")
                continue
            body = body_of(panel, prometheus, begin, end, rate_interval_s)
            said = panel["fieldConfig"]["defaults"].get("noValue", "No data")
            body = body or f'<div class="empty">{html.escape(said)}</div>'
            parts.append(f'<section style="grid-column: span {panel["gridPos"]["w"]}">'
                         f"<h3>{html.escape(panel['title'])}</h3>"
                         f"<p>{html.escape(panel['description'])}</p>{body}</section>")
        parts.append("</main>")
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=60, help="how far back")
    parser.add_argument("--rate-interval", type=int, default=60, metavar="SECONDS",
                        help="Grafana takes four scrape intervals")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    given = parser.parse_args()
    given.out.write_text(page(Prometheus(given.prometheus), given.minutes, given.rate_interval))


if __name__ == "__main__":
    main()
