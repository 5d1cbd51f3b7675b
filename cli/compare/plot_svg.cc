#include "cli/compare/plot_svg.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/compare/format.h"

namespace weft::compare {
namespace {

// In units of the picture; small enough that 13 units of text are read on a phone.
constexpr double kWidth = 480, kHeight = 310;
constexpr double kLeft = 66, kRight = 18, kTop = 36, kBottom = 50;
constexpr double kMarker = 4;
constexpr int kMaxTicks = 7;
// Half the picture's width, in widths of a Latin letter.
constexpr int kLegendLetters = 25;

struct Kind {
  bool log_x = false;
  bool is_share = false;  // y from 0 to 1, shown in percent
  bool y_from_0 = true;
  bool has_line = true;
  bool has_markers = true;
  bool is_steps = false;
};

Kind TraitsOf(PlotKind kind) {
  switch (kind) {
    case PlotKind::kLatencyCdf:
      return {.log_x = true, .is_share = true, .has_markers = false, .is_steps = true};
    case PlotKind::kThroughput:
      return {.log_x = true};
    case PlotKind::kItl:
      return {.has_markers = false};
    case PlotKind::kAccuracyTokens:
      return {.log_x = true, .is_share = true, .y_from_0 = false, .has_line = false};
  }
  return {};
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void Hold(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool is_empty() const { return low > high; }
};

// 1, 2 or 5 times a power of ten, so that the range has at most kMaxTicks steps.
double NiceStep(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / kMaxTicks)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (span / (factor * power) <= kMaxTicks) return factor * power;
  }
  return 10 * power;
}

// Numbers to places on a line.
class Axis {
 public:
  Axis(Range range, bool is_log, double from, double to) : is_log_(is_log), from_(from), to_(to) {
    if (range.is_empty()) range = {.low = 1, .high = 10};
    low_ = Scaled(range.low);
    high_ = Scaled(range.high);
    if (high_ - low_ < 1e-9 * std::max(1.0, std::abs(high_))) {
      const double margin = is_log ? 0.3 : std::max(0.5, 0.1 * std::abs(high_));
      low_ -= margin;
      high_ += margin;
    }
  }

  double Place(double value) const {
    return from_ + (Scaled(value) - low_) / (high_ - low_) * (to_ - from_);
  }

  std::vector<double> Ticks() const { return is_log_ ? LogTicks() : LinearTicks(); }

 private:
  double Scaled(double value) const { return is_log_ ? std::log10(value) : value; }

  std::vector<double> LinearTicks() const {
    const double step = NiceStep(high_ - low_);
    std::vector<double> ticks;
    const auto first = static_cast<int64_t>(std::ceil(low_ / step - 1e-9));
    for (int64_t i = first; static_cast<double>(i) * step <= high_ + 1e-9 * step; ++i) {
      ticks.push_back(static_cast<double>(i) * step);
    }
    return ticks;
  }

  // Decades, with 2 and 5 times each where few are in sight; below one, even steps.
  std::vector<double> LogTicks() const {
    if (high_ - low_ < 1) {
      std::vector<double> ticks;
      const double low = std::pow(10, low_), high = std::pow(10, high_);
      const double step = NiceStep(2 * (high - low));
      for (double tick = std::ceil(low / step) * step; tick <= high; tick += step) {
        ticks.push_back(tick);
      }
      return ticks;
    }
    const bool is_fine = high_ - low_ < 2.5;
    const int stride = std::max(1, static_cast<int>(std::ceil((high_ - low_) / kMaxTicks)));
    std::vector<double> ticks;
    for (int decade = static_cast<int>(std::floor(low_)); decade <= high_; decade += stride) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double exponent = decade + std::log10(factor);
        const bool is_inside = exponent >= low_ - 1e-9 && exponent <= high_ + 1e-9;
        if (is_inside && (factor == 1 || is_fine)) ticks.push_back(std::pow(10, exponent));
      }
    }
    return ticks;
  }

  bool is_log_;
  double from_, to_;
  double low_, high_;
};

std::string Label(const char* anchor, double x, double y, const std::string& text) {
  return absl::StrFormat("<text text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", anchor, x, y,
                         Escaped(text));
}

std::string Line(const char* css_class, double x1, double y1, double x2, double y2) {
  return absl::StrFormat("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                         css_class, x1, y1, x2, y2);
}

std::string Marker(bool is_a, double x, double y) {
  if (is_a) {
    return absl::StrFormat("<circle class=\"mark a\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"/>\n", x, y,
                           kMarker);
  }
  return absl::StrFormat(
      "<rect class=\"mark b\" x=\"%.1f\" y=\"%.1f\" width=\"%g\" height=\"%g\"/>\n", x - kMarker,
      y - kMarker, 2 * kMarker, 2 * kMarker);
}

// Cut to what the legend holds; letters beyond Latin count as two.
std::string Shortened(const std::string& name) {
  int width = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if ((byte & 0xc0) == 0x80) continue;
    width += byte < 0x80 ? 1 : 2;
    if (width > kLegendLetters) return absl::StrCat(name.substr(0, i), "…");
  }
  return name;
}

class Picture {
 public:
  explicit Picture(const PlotOnPage& plot)
      : kind_(TraitsOf(plot.plot->kind)),
        a_(Kept(plot.plot->a)),
        b_(Kept(plot.plot->b)),
        x_(XRange(), kind_.log_x, kLeft, kWidth - kRight),
        y_(YRange(), false, kHeight - kBottom, kTop) {}

  std::string Axes(const PlotOnPage& plot) const {
    std::string svg;
    for (const double tick : y_.Ticks()) {
      svg += Line("grid", kLeft, y_.Place(tick), kWidth - kRight, y_.Place(tick));
      svg +=
          Label("end", kLeft - 7, y_.Place(tick) + 4.5,
                kind_.is_share ? absl::StrFormat("%g", std::round(1e4 * tick) / 100) : Tick(tick));
    }
    for (const double tick : x_.Ticks()) {
      svg += Line("grid", x_.Place(tick), kTop, x_.Place(tick), kHeight - kBottom);
      svg += Label("middle", x_.Place(tick), kHeight - kBottom + 17, Tick(tick));
    }
    svg += Line("axis", kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom);
    svg += Label("middle", (kLeft + kWidth - kRight) / 2, kHeight - 9, plot.x_title);
    const double middle = (kTop + kHeight - kBottom) / 2;
    absl::StrAppendFormat(&svg,
                          "<text text-anchor=\"middle\" transform=\"translate(14 %.1f) "
                          "rotate(-90)\">%s</text>\n",
                          middle, Escaped(plot.y_title));
    return svg;
  }

  std::string Both() const { return Series(b_, false) + Series(a_, true); }

 private:
  std::vector<Point> Kept(const std::vector<Point>& points) const {
    std::vector<Point> kept;
    for (const Point& point : points) {
      if (!kind_.log_x || point.x > 0) kept.push_back(point);
    }
    return kept;
  }

  Range XRange() const {
    Range range;
    for (const auto* points : {&a_, &b_}) {
      for (const Point& point : *points) range.Hold(point.x);
    }
    if (!kind_.has_line && !range.is_empty()) {  // room around points that stand alone
      range.low /= 1.3;
      range.high *= 1.3;
    }
    return range;
  }

  Range YRange() const {
    Range range;
    for (const auto* points : {&a_, &b_}) {
      for (const Point& point : *points) {
        range.Hold(point.y);
        if (!point.interval) continue;
        range.Hold(point.interval->low);
        range.Hold(point.interval->high);
      }
    }
    if (kind_.y_from_0) range.Hold(0);
    if (kind_.is_share && kind_.y_from_0) range.Hold(1);
    if (range.is_empty()) return range;
    const double margin = 0.06 * (range.high - range.low);
    if (!kind_.is_share) range.high += margin;
    if (kind_.is_share && !kind_.y_from_0) {
      range = {.low = std::max(0.0, range.low - margin),
               .high = std::min(1.0, range.high + margin)};
    }
    return range;
  }

  // Short: "2k" where Number says "2,000".
  static std::string Tick(double value) {
    const char* suffix = "";
    for (const char* next : {"k", "M", "G", "T"}) {
      if (std::abs(value) < 999.5) break;
      value /= 1000;
      suffix = next;
    }
    return absl::StrFormat("%.4g%s", value, suffix);
  }

  std::string Series(const std::vector<Point>& points, bool is_a) const {
    const char* side = is_a ? "a" : "b";
    std::string svg = Band(points, side), path;
    double last_y = y_.Place(0);
    for (const Point& point : points) {
      const double x = x_.Place(point.x), y = y_.Place(point.y);
      if (path.empty()) {
        absl::StrAppendFormat(&path, "M%.1f %.1f", x, kind_.is_steps ? last_y : y);
      }
      if (kind_.is_steps) absl::StrAppendFormat(&path, "H%.1f", x);
      absl::StrAppendFormat(&path, "L%.1f %.1f", x, y);
    }
    if (kind_.has_line && !path.empty()) {
      absl::StrAppendFormat(&svg, "<path class=\"line %s\" d=\"%s\"/>\n", side, path);
    }
    if (!kind_.has_markers) return svg;
    for (const Point& point : points) {
      const double x = x_.Place(point.x);
      if (!kind_.has_line && point.interval) {
        svg += Line(is_a ? "bar a" : "bar b", x, y_.Place(point.interval->low), x,
                    y_.Place(point.interval->high));
      }
      svg += Marker(is_a, x, y_.Place(point.y));
    }
    return svg;
  }

  // Up along the upper ends, back along the lower ones.
  std::string Band(const std::vector<Point>& points, const char* side) const {
    if (!kind_.has_line) return "";
    std::string there, back;
    for (const Point& point : points) {
      if (!point.interval) continue;
      const double x = x_.Place(point.x);
      absl::StrAppendFormat(&there, "%s%.1f %.1f", there.empty() ? "M" : "L", x,
                            y_.Place(point.interval->high));
      back = absl::StrFormat("L%.1f %.1f", x, y_.Place(point.interval->low)) + back;
    }
    if (there.empty()) return "";
    return absl::StrFormat("<path class=\"band %s\" d=\"%s%sZ\"/>\n", side, there, back);
  }

  const Kind kind_;
  const std::vector<Point> a_, b_;
  const Axis x_, y_;
};

std::string Legend(const PlotOnPage& plot, const std::string& name_a, const std::string& name_b) {
  const bool has_line = TraitsOf(plot.plot->kind).has_line;
  std::string svg;
  double x = 12;
  for (const bool is_a : {true, false}) {
    if (has_line) svg += Line(is_a ? "line a" : "line b", x, 14, x + 26, 14);
    svg += Marker(is_a, x + 13, 14);
    svg += Label("start", x + 33, 18.5, Shortened(is_a ? name_a : name_b));
    x += kWidth / 2;
  }
  return svg;
}

}  // namespace

std::string PlotSvg(const PlotOnPage& plot, const std::string& name_a, const std::string& name_b) {
  const Picture picture(plot);
  return absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" role=\"img\" "
      "aria-label=\"%s\">\n%s%s%s</svg>\n",
      kWidth, kHeight, Escaped(plot.title), picture.Axes(plot), picture.Both(),
      Legend(plot, name_a, name_b));
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '&') {
      escaped += "&amp;";
    } else if (letter == '<') {
      escaped += "&lt;";
    } else if (letter == '>') {
      escaped += "&gt;";
    } else if (letter == '"') {
      escaped += "&quot;";
    } else if (byte < 0x20 && letter != '\n' && letter != '\t') {
      escaped += "\xef\xbf\xbd";
    } else {
      escaped += letter;
    }
  }
  return escaped;
}

}  // namespace weft::compare
