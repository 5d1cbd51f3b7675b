#include "cli/compare/html.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/compare/plot_svg.h"
#include "common/check.h"

namespace weft::compare {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --back: #fff; --text: #1c1c1a; --soft: #5d5d58; --line: #d8d8d2;
  --card: #f6f6f2; --a: #1f66c1; --b: #b4510a; --warn: #fff3d6; --warn-line: #d99a00; }
@media (prefers-color-scheme: dark) { :root { --back: #171716; --text: #eceae4; --soft: #a9a79f;
  --line: #3d3c39; --card: #21211f; --a: #6aaef5; --b: #f2a05c; --warn: #352a10; --warn-line: #c58f16; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px 16px 64px; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .4em 0; }
h2 { font-size: 1.15rem; margin: 2em 0 .5em; }
h3 { font-size: .95rem; margin: 0 0 .3em; }
p, ul { margin: .5em 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { font-weight: 600; }
.judged { table-layout: fixed; }
.judged th:nth-last-child(1) { width: 22%; }
.judged th:nth-child(1) { width: 20%; }
.judged th:nth-last-child(2) { width: 9%; }
.verdict.a { color: var(--a); font-weight: 600; }
.verdict.b { color: var(--b); font-weight: 600; }
.verdict.none { color: var(--soft); }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: 4px 16px; margin: 1.5em 0; }
.warning h2 { margin-top: .5em; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 20px; }
figure { margin: 0; padding: 12px; background: var(--card); border-radius: 8px; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 13px; fill: var(--text); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 2; } .line.b { stroke-dasharray: 6 4; } .bar { stroke-width: 2; }
.line.a, .bar.a { stroke: var(--a); } .line.b, .bar.b { stroke: var(--b); }
.mark.a, .band.a { fill: var(--a); } .mark.b, .band.b { fill: var(--b); } .band { opacity: .18; }
pre { background: var(--card); padding: 10px 12px; border-radius: 8px; white-space: pre-wrap; font-size: .85rem; }
input[name=lang] { position: absolute; opacity: 0; }
label { display: inline-block; padding: 2px 12px; border: 1px solid var(--line); border-radius: 999px; cursor: pointer; }
#en:checked ~ label[for=en], #zh:checked ~ label[for=zh] { background: var(--text); color: var(--back); }
#en:focus-visible ~ label[for=en], #zh:focus-visible ~ label[for=zh] { outline: 2px solid var(--a); }
#en:checked ~ article[lang=zh], #zh:checked ~ article[lang=en] { display: none; }
@media (max-width: 720px) {
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { padding: 8px 0; border-bottom: 1px solid var(--line); }
  td { border: 0; padding: 1px 0; }
  td[data-name]:not([data-name=""])::before { content: attr(data-name) ": "; color: var(--soft); font-weight: 400; }
  td:first-child::before { content: none !important; }
}
@media print { label { display: none; } }
)";

// The verdict's mark beside its colour: the letter of the better one.
std::string VerdictCell(const TableRow& row, const std::string& name, const std::string& text) {
  const char* tone = "none";
  const char* mark = "";
  if (row.tone == Tone::kABetter) {
    tone = "a";
    mark = "▲ A · ";
  } else if (row.tone == Tone::kBBetter) {
    tone = "b";
    mark = "▲ B · ";
  }
  return absl::StrFormat("<td class=\"verdict %s\" data-name=\"%s\">%s%s</td>", tone, Escaped(name),
                         mark, Escaped(text));
}

std::string HtmlTable(const Table& table) {
  if (table.rows.empty()) return "";
  // Verdicts stand below each other from table to table.
  const bool is_judged = table.rows.front().tone != Tone::kNone;
  std::string html = absl::StrCat("<table", is_judged ? " class=\"judged\"" : "", ">\n<thead><tr>");
  for (const std::string& name : table.header) {
    absl::StrAppend(&html, "<th scope=\"col\">", Escaped(name), "</th>");
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const TableRow& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const bool is_verdict = row.tone != Tone::kNone && i + 1 == row.cells.size();
      if (is_verdict) {
        html += VerdictCell(row, table.header[i], row.cells[i]);
      } else {
        absl::StrAppend(&html, "<td data-name=\"", Escaped(table.header[i]), "\">",
                        Escaped(row.cells[i]), "</td>");
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n";
}

std::string HtmlSection(const Section& section, const Page& page) {
  std::string html =
      absl::StrFormat("<section%s>\n<h2>%s</h2>\n", section.is_warning ? " class=\"warning\"" : "",
                      Escaped(section.heading));
  for (const std::string& paragraph : section.paragraphs) {
    absl::StrAppend(&html, "<p>", Escaped(paragraph), "</p>\n");
  }
  if (!section.items.empty()) {
    html += "<ul>\n";
    for (const std::string& item : section.items) {
      absl::StrAppend(&html, "<li>", Escaped(item), "</li>\n");
    }
    html += "</ul>\n";
  }
  html += HtmlTable(section.table);
  if (!section.plots.empty()) {
    html += "<div class=\"plots\">\n";
    for (const PlotOnPage& plot : section.plots) {
      absl::StrAppend(&html, "<figure>\n<h3>", Escaped(plot.title), "</h3>\n",
                      PlotSvg(plot, page.name_a, page.name_b), "</figure>\n");
    }
    html += "</div>\n";
  }
  for (const std::string& code : section.code) {
    absl::StrAppend(&html, "<pre>", Escaped(code), "</pre>\n");
  }
  return html + "</section>\n";
}

std::string Article(const Page& page) {
  std::string html = absl::StrFormat("<article lang=\"%s\">\n<h1>%s</h1>\n", CodeOf(page.language),
                                     Escaped(page.title));
  for (const std::string& paragraph : page.intro) {
    absl::StrAppend(&html, "<p>", Escaped(paragraph), "</p>\n");
  }
  for (const Section& section : page.sections) html += HtmlSection(section, page);
  return html + "</article>\n";
}

// Radio buttons, so that no script is needed; the first language is shown first.
std::string LanguageSwitch(const std::vector<Page>& pages) {
  std::string html;
  for (const Page& page : pages) {
    absl::StrAppendFormat(&html, "<input type=\"radio\" name=\"lang\" id=\"%s\"%s/>\n",
                          CodeOf(page.language),
                          &page == &pages.front() ? " checked=\"checked\"" : "");
  }
  for (const Page& page : pages) {
    const char* name = page.language == Language::kEnglish ? "English" : "中文";
    absl::StrAppendFormat(&html, "<label for=\"%s\" lang=\"%s\">%s</label>\n",
                          CodeOf(page.language), CodeOf(page.language), name);
  }
  return html;
}

}  // namespace

std::string Html(const std::vector<Page>& pages) {
  WEFT_CHECK(pages.size() == 1 || pages.size() == 2);
  std::string html = absl::StrFormat(
      "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n",
      CodeOf(pages.front().language), Escaped(pages.front().title), kStyle);
  if (pages.size() > 1) html += LanguageSwitch(pages);
  for (const Page& page : pages) html += Article(page);
  return html + "</body>\n</html>\n";
}

}  // namespace weft::compare
