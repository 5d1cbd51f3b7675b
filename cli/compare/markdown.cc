#include "cli/compare/markdown.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft::compare {
namespace {

// Names are text, not markup, and stay on their line.
std::string Escaped(const std::string& text) {
  constexpr std::string_view kMarkup = "\\`*_[]<>|#~";
  std::string escaped;
  for (const char letter : text) {
    if (kMarkup.find(letter) != std::string_view::npos) escaped += '\\';
    if (letter == '&') {
      escaped += "&amp;";
    } else {
      escaped += letter == '\n' || letter == '\r' ? ' ' : letter;
    }
  }
  return escaped;
}

std::string Line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) absl::StrAppend(&line, " ", Escaped(cell), " |");
  return line + "\n";
}

std::string TableLines(const Table& table) {
  if (table.rows.empty()) return "";
  std::string lines = Line(table.header) + "|";
  for (size_t i = 0; i < table.header.size(); ++i) lines += "---|";
  lines += "\n";
  for (const TableRow& row : table.rows) lines += Line(row.cells);
  return lines + "\n";
}

// A fence longer than any within.
std::string CodeBlock(const std::string& code) {
  size_t longest = 2, run = 0;
  for (const char letter : code) {
    run = letter == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return absl::StrCat(fence, "sh\n", code, "\n", fence, "\n\n");
}

}  // namespace

std::string Markdown(const Page& page) {
  std::string text = absl::StrCat("# ", Escaped(page.title), "\n\n");
  for (const std::string& paragraph : page.intro) {
    absl::StrAppend(&text, Escaped(paragraph), "\n\n");
  }
  for (const Section& section : page.sections) {
    absl::StrAppend(&text, "## ", Escaped(section.heading), "\n\n");
    for (const std::string& paragraph : section.paragraphs) {
      absl::StrAppend(&text, Escaped(paragraph), "\n\n");
    }
    for (const std::string& item : section.items) {
      absl::StrAppend(&text, "- ", Escaped(item), "\n");
    }
    if (!section.items.empty()) text += "\n";
    text += TableLines(section.table);
    for (const PlotOnPage& plot : section.plots) {
      absl::StrAppend(&text, "- ", Escaped(plot.title), "\n");
    }
    if (!section.plots.empty()) absl::StrAppend(&text, "\n", Escaped(page.plots_elsewhere), "\n\n");
    for (const std::string& code : section.code) text += CodeBlock(code);
  }
  return text;
}

}  // namespace weft::compare
