// A comparison in one language, in the order in which it is read: what the HTML report
// and its Markdown twin both print, so that neither says more than the other.
#pragma once

#include <string>
#include <vector>

#include "cli/compare/comparison.h"
#include "cli/compare/texts.h"

namespace weft::compare {

// What a verdict amounts to, beside its sentence.
enum class Tone { kNone, kABetter, kBBetter, kUndecided };

struct TableRow {
  std::vector<std::string> cells;  // the last is the verdict where there is one
  Tone tone = Tone::kNone;
};

struct Table {
  std::vector<std::string> header;
  std::vector<TableRow> rows;
};

struct PlotOnPage {
  std::string title, x_title, y_title;
  const Plot* plot = nullptr;  // of the comparison
};

// Printed in the order of its fields; what is empty is left out.
struct Section {
  std::string heading;
  std::vector<std::string> paragraphs;
  std::vector<std::string> items;
  Table table;
  std::vector<PlotOnPage> plots;
  std::vector<std::string> code;
  bool is_warning = false;
};

struct Page {
  Language language = Language::kEnglish;
  std::string title;
  std::string name_a, name_b;
  std::string plots_elsewhere;  // for where plots cannot be shown
  std::vector<std::string> intro;
  std::vector<Section> sections;
};

// `comparison` outlives the page.
Page MakePage(const Comparison& comparison, Language language);

}  // namespace weft::compare
