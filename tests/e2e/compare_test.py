"""`weft compare --render`: an awkward comparison, as HTML, as Markdown, in both languages."""

import json
import re
import subprocess
import xml.etree.ElementTree

import comparisons
import pytest

# What a Chinese reader reads in Latin letters too: names, units, statistics.
LATIN = set("A B TTFT ITL KV GPU CPU GSM tok s ms k kB MB GB e t".split())


def render(bin_dir, tmp_path, comparison, *words, code=0):
    saved = tmp_path / "saved.json"
    saved.write_text(comparison if isinstance(comparison, str) else json.dumps(comparison))
    done = subprocess.run(
        [bin_dir / "weft", "compare", "--render", saved, "--output", tmp_path / "out", *words],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def parse(path):
    return xml.etree.ElementTree.fromstring(path.read_text())


def article(root, lang):
    return next(node for node in root.iter("article") if node.get("lang") == lang)


def cells(root, first):
    """Of the row whose first cell starts so."""
    for row in root.iter("tr"):
        texts = ["".join(cell.itertext()) for cell in row.findall("td")]
        if texts and texts[0].startswith(first):
            return texts
    raise AssertionError(f"no row {first}")


@pytest.fixture(scope="module")
def report(bin_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    render(bin_dir, folder, comparisons.awkward())
    return folder / "out"


def test_names_are_text_and_nothing_is_fetched(report):
    text = (report / "report.html").read_text()
    root = parse(report / "report.html")
    assert not re.search(r"<b>|(src|href)=|url\(|<script|@import", text)
    headers = ["".join(node.itertext()) for node in root.iter("th")]
    assert f"A: {comparisons.A}" in headers and f"B: {comparisons.B}" in headers
    assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_verdicts(report):
    english = article(parse(report / "report.html"), "en")
    assert cells(english, "Size on disk")[-2:] == ["exact", f"▲ B · {comparisons.B} smaller by 13%"]
    assert cells(english, "KV cache of a token")[-1] == "equal"
    assert cells(english, "Cold start")[-1] == "no difference shown"
    rate = cells(english, "Output, one request at a time")[-1]
    assert rate.startswith(f"▲ A · {comparisons.A} faster by ")
    low, high = map(float, re.search(r"by ([\d.]+)–([\d.]+)%$", rate).groups())
    assert low < 100 * (143 / 102 - 1) < high
    ttft = cells(english, "TTFT, median")
    assert f"▲ A · {comparisons.A} shorter by " in ttft[-1] and ttft[-2] == "4 of 5"
    assert cells(english, "TTFT, 99th")[-1] == "cannot be judged"
    assert cells(english, "Peak memory")[1:3] == ["not measured"] * 2
    assert "more accurate by" in cells(english, "GSM8K")[-1]
    assert cells(english, "MATH-500")[-1] == "cannot be judged"
    summary = next("".join(node.itertext()) for node in english.iter("p") if "figures" in
                   "".join(node.itertext()))
    num, *parts = map(int, re.findall(r"(?<= )\d+(?= figures|, | show| cannot)", summary))
    verdicts = [node for node in english.iter("td") if "verdict" in node.get("class", "")]
    assert num == sum(parts) == len(verdicts)


def test_warnings_name_what_is_wrong(report):
    english = article(parse(report / "report.html"), "en")
    warnings = ["".join(node.itertext()) for node in english.find("section").iter("li")]
    assert sum("beyond what the hardware can do" in text for text in warnings) == 1
    assert any("143 tok/s" in text and "320 GB/s" in text for text in warnings)
    assert any("1 of 5 rounds failed" in text for text in warnings)
    assert any("5 of 5 rounds failed" in text for text in warnings)
    assert any("by 4 pairs" in text for text in warnings)
    assert "The card was shared." in warnings


def test_plots_hold_every_point_within_the_picture(report):
    english = article(parse(report / "report.html"), "en")
    plots = [node for node in english.iter() if node.tag.endswith("svg")]
    assert len(plots) == 4  # the one without a point is left out
    marks = [node for node in plots[1].iter() if node.get("class") == "mark a"]
    assert len(marks) == 9 + 1  # and the legend's
    for plot in plots:
        for node in plot.iter():
            assert all(0 <= float(node.get(name, 0)) <= 480 for name in ("x", "x1", "x2", "cx"))
            assert all(0 <= float(node.get(name, 0)) <= 310 for name in ("y", "y1", "y2", "cy"))


def test_the_chinese_page_is_chinese(report):
    """No English but names, units and what the comparison itself brought."""
    chinese = article(parse(report / "report.html"), "zh")
    brought = set(re.findall(r"[A-Za-z]+", json.dumps(comparisons.awkward(), ensure_ascii=False)))
    words = set(re.findall(r"[A-Za-z]+", " ".join(chinese.itertext())))
    keys = {row["metric"] for row in comparisons.awkward()["rows"]}
    assert words <= brought | LATIN
    assert not any(key in "".join(chinese.itertext()) for key in keys)
    assert "显卡与他人共用。" in "".join(chinese.itertext())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_twin_says_the_same(report, lang):
    page = article(parse(report / "report.html"), lang)
    twin = re.sub(r"\\(.)", r"\1", (report / f"report.{lang}.md").read_text()).replace("&amp;", "&")
    for row in page.iter("tr"):
        for cell in row.findall("td"):
            assert re.sub("^▲ [AB] · ", "", "".join(cell.itertext())).replace("\n", " ") in twin
    for node in page.iter("li"):
        assert "".join(node.itertext()) in twin


def test_one_language_has_no_switch(bin_dir, tmp_path):
    render(bin_dir, tmp_path, comparisons.awkward(), "--lang", "zh")
    root = parse(tmp_path / "out" / "report.html")
    assert root.get("lang") == "zh" and not list(root.iter("input"))
    assert not (tmp_path / "out" / "report.en.md").exists()


def test_a_comparison_of_nothing(bin_dir, tmp_path):
    render(bin_dir, tmp_path, {"a": {"name": "x"}, "b": {"name": "y"}})
    assert "x and y compared" in (tmp_path / "out" / "report.en.md").read_text()


@pytest.mark.parametrize("change, said", [
    ({"a": [1, 2], "b": [1]}, "rows[0]: a and b are to have as many rounds"),
    ({"a": [0], "b": [1]}, "numbers above 0"),
    ({"quantity": "furlongs"}, "rows[0]: quantity \"furlongs\" is none of time_ms"),
    ({"metric": 7}, "rows[0]: metric"),
])
def test_a_bad_comparison_is_refused_with_its_place(bin_dir, tmp_path, change, said):
    row = {"metric": "ttft_p50", "quantity": "time_ms", "a": [1], "b": [2]} | change
    bad = {"a": {"name": "x"}, "b": {"name": "y"}, "rows": [row]}
    assert said in render(bin_dir, tmp_path, bad, code=2).stderr


def test_what_is_no_comparison_is_refused(bin_dir, tmp_path):
    assert "saved.json" in render(bin_dir, tmp_path, "{", code=2).stderr
    assert "a is to be an object" in render(bin_dir, tmp_path, {}, code=2).stderr
