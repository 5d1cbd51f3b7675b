#include "cli/simulate/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace weft::simulate {
namespace {

// In pixels.
constexpr int kWidth = 760, kLeft = 110, kRight = 20;
constexpr int kTop = 44, kBottom = 30, kPanelHeight = 70, kPanelGap = 22;

constexpr const char* kStyle = R"(<style>
svg { background: #fff; font: 12px system-ui, sans-serif; fill: #222; }
.title { font-size: 14px; font-weight: 600; }
.name { font-weight: 600; }
.scale { fill: #777; }
.grid { stroke: #ccc; }
.area { fill: #2a78d6; }
@media (prefers-color-scheme: dark) {
  svg { background: #1a1a19; fill: #eee; }
  .scale { fill: #999; }
  .grid { stroke: #444; }
  .area { fill: #3987e5; }
}
</style>
)";

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}});
}

std::string Text(const char* css_class, const char* anchor, double x, double y,
                 const std::string& text) {
  return absl::StrFormat("<text class=\"%s\" text-anchor=\"%s\" x=\"%g\" y=\"%g\">%s</text>\n",
                         css_class, anchor, x, y, Escaped(text));
}

std::string GridLine(double y) {
  return absl::StrFormat("<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%g\" y2=\"%g\"/>\n", kLeft,
                         kWidth - kRight, y, y);
}

// Steps, not slopes: a column's average holds for all of it.
std::string Area(const Panel& panel, double y) {
  const double column_width =
      static_cast<double>(kWidth - kLeft - kRight) / static_cast<double>(panel.values.size());
  std::string path = absl::StrFormat("M%d %g", kLeft, y + kPanelHeight);
  double x = kLeft;
  for (const double value : panel.values) {
    absl::StrAppendFormat(&path, "V%.2f", y + kPanelHeight * (1 - value / panel.top));
    x += column_width;
    absl::StrAppendFormat(&path, "H%.2f", x);
  }
  return absl::StrFormat("<path class=\"area\" d=\"%sV%gZ\"/>\n", path, y + kPanelHeight);
}

}  // namespace

std::string SvgChart(const std::vector<Panel>& panels, double duration_s,
                     const std::string& title) {
  const int height =
      kTop + static_cast<int>(panels.size()) * (kPanelHeight + kPanelGap) - kPanelGap + kBottom;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
      "height=\"%d\" role=\"img\">\n<title>%s</title>\n%s",
      kWidth, height, kWidth, height, Escaped(title), kStyle);
  svg += Text("title", "start", 16, 26, title);
  double y = kTop;
  for (const Panel& panel : panels) {
    absl::StrAppend(&svg, GridLine(y), Area(panel, y), GridLine(y + kPanelHeight),
                    Text("name", "start", 16, y + kPanelHeight / 2.0 + 4, panel.name),
                    Text("scale", "end", kLeft - 6, y + 10, panel.top_label),
                    Text("scale", "end", kLeft - 6, y + kPanelHeight, "0"));
    y += kPanelHeight + kPanelGap;
  }
  const double axis_y = y - kPanelGap + 18;
  absl::StrAppend(&svg, Text("scale", "start", kLeft, axis_y, "0"),
                  Text("scale", "end", kWidth - kRight, axis_y, ShortDuration(duration_s)),
                  "</svg>\n");
  return svg;
}

}  // namespace weft::simulate
