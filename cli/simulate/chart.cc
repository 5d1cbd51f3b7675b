#include "cli/simulate/chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::simulate {
namespace {

using sim::Timeline;

constexpr int kLinesPerPanel = 2;
constexpr int kLevelsPerLine = 8;
constexpr const char* kBlocks[kLevelsPerLine + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

int Level(double value, double top) {
  constexpr int kTopLevel = kLinesPerPanel * kLevelsPerLine;
  const int level = static_cast<int>(std::lround(value / top * kTopLevel));
  return std::clamp(level, value > 0 ? 1 : 0, kTopLevel);
}

std::string Line(const Panel& panel, int line_from_bottom) {
  std::string blocks;
  for (const double value : panel.values) {
    const int level = Level(value, panel.top) - line_from_bottom * kLevelsPerLine;
    blocks += kBlocks[std::clamp(level, 0, kLevelsPerLine)];
  }
  return blocks;
}

}  // namespace

std::vector<Panel> MakePanels(const sim::PoolReport& report, int num_columns) {
  const auto panel = [&](const char* name, Timeline::Series series) {
    Panel panel{.name = name,
                .values = report.timeline.Columns(series, num_columns, report.duration)};
    // At least 1: a thousandth of a waiting request is no reason to fill a chart.
    panel.top = std::max(1.0, *std::max_element(panel.values.begin(), panel.values.end()));
    panel.top_label = ShortNumber(panel.top);
    return panel;
  };
  std::vector<Panel> panels = {
      panel("running", Timeline::kRunning), panel("waiting", Timeline::kWaiting),
      panel("KV use", Timeline::kBlocksInUse), panel("tokens/s", Timeline::kOutputTokensPerSecond)};
  Panel& kv = panels[2];
  for (double& value : kv.values) value *= 100.0 / static_cast<double>(report.num_blocks_total);
  kv.top = 100;
  kv.top_label = "100%";
  return panels;
}

std::string TerminalChart(const std::vector<Panel>& panels, double duration_s) {
  std::string chart;
  for (const Panel& panel : panels) {
    for (int line = kLinesPerPanel - 1; line >= 0; --line) {
      const bool is_top = line == kLinesPerPanel - 1;
      std::string text = absl::StrFormat("%-8s %5s ┤%s", is_top ? panel.name : "",
                                         is_top ? panel.top_label : "0", Line(panel, line));
      absl::StripTrailingAsciiWhitespace(&text);
      absl::StrAppend(&chart, text, "\n");
    }
  }
  absl::StrAppendFormat(&chart, "%16s0%*s\n", "", kTerminalColumns - 1, ShortDuration(duration_s));
  return chart;
}

std::string ShortNumber(double value) {
  const char* suffix = "";
  for (const char* next : {"k", "M", "G"}) {
    if (value < 999.5) break;  // three digits, rounded
    value /= 1000;
    suffix = next;
  }
  return absl::StrFormat("%.3g%s", value, suffix);
}

std::string ShortDuration(double seconds) {
  if (seconds < 0.9995) return absl::StrFormat("%.3g ms", 1e3 * seconds);
  if (seconds < 600) return absl::StrFormat("%.3g s", seconds);
  if (seconds < 36'000) return absl::StrFormat("%.3g min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

}  // namespace weft::simulate
