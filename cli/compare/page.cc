#include "cli/compare/page.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/substitute.h"
#include "cli/compare/format.h"

namespace weft::compare {
namespace {

// Fewer rounds are said to be few.
constexpr int kMinRounds = 5;

struct Verdict {
  Tone tone = Tone::kNone;
  std::string sentence;
};

class PageMaker {
 public:
  PageMaker(const Comparison& comparison, Language language)
      : comparison_(comparison), language_(language) {}

  Page Make() {
    Page page{.language = language_,
              .title = Said("title", comparison_.a.name, comparison_.b.name),
              .name_a = comparison_.a.name,
              .name_b = comparison_.b.name,
              .plots_elsewhere = Said("plots_elsewhere")};
    std::vector<Section> tables = FigureSections();
    Section accuracy = AccuracySection();
    if (!comparison_.date.empty()) page.intro.push_back(Said("measured_on", comparison_.date));
    page.intro.push_back(Summary());
    Add(page, WarningSection());
    for (Section& section : tables) Add(page, std::move(section));
    Add(page, std::move(accuracy));
    Add(page, {.heading = Said("reading"), .items = Reading()});
    Add(page, PlotSection());
    Add(page, RooflineSection());
    Add(page, SubjectSection());
    Add(page, EnvironmentSection());
    Add(page, {.heading = Said("commands"), .code = comparison_.commands});
    return page;
  }

 private:
  template <typename... Arguments>
  std::string Said(std::string_view key, const Arguments&... arguments) const {
    return absl::Substitute(Say(language_, key), arguments...);
  }

  static void Add(Page& page, Section section) {
    if (section.paragraphs.empty() && section.items.empty() && section.table.rows.empty() &&
        section.plots.empty() && section.code.empty()) {
      return;
    }
    page.sections.push_back(std::move(section));
  }

  std::string TitleOf(const Row& row) const {
    const std::string metric = NameOf(language_, row.metric);
    return row.detail.empty() ? metric : absl::StrCat(metric, " · ", row.detail);
  }

  // Where it stands among all, for warnings.
  std::string PlaceOf(const Row& row) const {
    return row.task.empty() ? TitleOf(row)
                            : absl::StrCat(NameOf(language_, row.task), " · ", TitleOf(row));
  }

  // `better` over the other one, a ratio, lies in `interval`.
  std::string BetterBy(Quantity quantity, const std::string& better, Interval interval) const {
    switch (quantity) {
      case Quantity::kRate:
        return Said("faster", better, PercentRange(interval.low - 1, interval.high - 1));
      case Quantity::kTime:
        return Said("shorter", better, PercentRange(1 - interval.high, 1 - interval.low));
      case Quantity::kBytes:
        return Said("smaller", better, PercentRange(1 - interval.high, 1 - interval.low));
    }
    return "";
  }

  Verdict JudgeRow(const Row& row, std::optional<Estimate> ratio) const {
    if (ratio && row.is_exact) {
      ratio->interval = Interval{.low = ratio->value, .high = ratio->value};
    }
    const Outcome outcome = Judge(ratio, 1);
    if (outcome == Outcome::kNotMeasured) return {Tone::kUndecided, Said("cannot_judge")};
    if (outcome == Outcome::kNoDifference) {
      return {Tone::kUndecided, Said(row.is_exact ? "equal" : "no_difference")};
    }
    const bool is_a_better = (outcome == Outcome::kAHigher) == (row.quantity == Quantity::kRate);
    if (is_a_better) {
      return {Tone::kABetter, BetterBy(row.quantity, comparison_.a.name, *ratio->interval)};
    }
    const Interval inverse{.low = 1 / ratio->interval->high, .high = 1 / ratio->interval->low};
    return {Tone::kBBetter, BetterBy(row.quantity, comparison_.b.name, inverse)};
  }

  std::string FigureOr(const Row& row, const std::optional<Estimate>& estimate) const {
    return estimate ? Figure(row.quantity, *estimate) : Said("not_measured");
  }

  std::vector<Section> FigureSections() {
    std::vector<Section> sections;
    for (const Row& row : comparison_.rows) {
      const std::string task = NameOf(language_, row.task);
      auto section = std::find_if(sections.begin(), sections.end(),
                                  [&](const Section& other) { return other.heading == task; });
      if (section == sections.end()) {
        sections.push_back({.heading = task});
        section = sections.end() - 1;
        section->table.header = {Said("figure"),
                                 absl::StrCat("A: ", comparison_.a.name),
                                 absl::StrCat("B: ", comparison_.b.name),
                                 Said("ratio_of"),
                                 Said("runs"),
                                 Said("verdict")};
      }
      section->table.rows.push_back(FigureRow(row));
    }
    return sections;
  }

  TableRow FigureRow(const Row& row) {
    const std::optional<Estimate> a = GeometricMean(row.a), b = GeometricMean(row.b);
    const std::optional<Estimate> ratio = PairedRatio(row.a, row.b);
    const int num_pairs = ratio ? ratio->num : 0;
    Warn(row, comparison_.a, row.a, a, row.bound_a);
    Warn(row, comparison_.b, row.b, b, row.bound_b);
    if (!row.is_exact && num_pairs > 0 && num_pairs < kMinRounds) {
      warnings_.push_back(Said("few_rounds", PlaceOf(row), num_pairs));
    }
    const Verdict verdict = JudgeRow(row, ratio);
    ++num_by_tone_[static_cast<int>(verdict.tone)];
    num_equal_ += verdict.tone == Tone::kUndecided && ratio && (row.is_exact || ratio->interval);
    return {.cells = {TitleOf(row), FigureOr(row, a), FigureOr(row, b), ratio ? Ratio(*ratio) : "–",
                      row.is_exact ? Said("exact") : Said("of_rounds", num_pairs, row.a.size()),
                      verdict.sentence},
            .tone = verdict.tone};
  }

  void Warn(const Row& row, const Subject& subject, const Runs& runs,
            const std::optional<Estimate>& estimate, const std::optional<Bound>& bound) {
    const auto num_failed = std::count(runs.begin(), runs.end(), std::nullopt);
    if (num_failed > 0 && !row.is_exact) {
      warnings_.push_back(
          Said("failed_rounds", PlaceOf(row), subject.name, num_failed, runs.size()));
    }
    if (estimate && bound && bound->IsPassedBy(estimate->value)) {
      warnings_.push_back(Said("above_bound", PlaceOf(row), subject.name,
                               Figure(row.quantity, estimate->value),
                               Figure(row.quantity, bound->value), bound->arithmetic));
    }
  }

  Section AccuracySection() {
    Section section{.heading = Said("accuracy")};
    section.table.header = {Said("benchmark"),
                            absl::StrCat("A: ", comparison_.a.name),
                            absl::StrCat("B: ", comparison_.b.name),
                            Said("difference"),
                            Said("problems"),
                            Said("tokens_per_answer"),
                            Said("verdict")};
    for (const AccuracyRow& row : comparison_.accuracy) {
      section.table.rows.push_back(OneAccuracy(row));
    }
    return section;
  }

  std::string AccuracyOr(const std::optional<Estimate>& accuracy) const {
    if (!accuracy) return Said("not_measured");
    return absl::StrCat(Percent(accuracy->value), " [", Percent(accuracy->interval->low), "–",
                        Percent(accuracy->interval->high), "] %");
  }

  TableRow OneAccuracy(const AccuracyRow& row) {
    std::optional<Estimate> difference;
    if (!row.a.empty() && !row.b.empty()) difference = AccuracyDifference(row.a, row.b);
    std::string shown = "–";
    if (difference) {
      shown = absl::StrFormat("%+.1f [%+.1f; %+.1f]", 100 * difference->value,
                              100 * difference->interval->low, 100 * difference->interval->high);
    }
    const auto tokens = [](double count) { return count > 0 ? Number(count) : "–"; };
    const Verdict verdict = JudgeAccuracy(difference);
    ++num_by_tone_[static_cast<int>(verdict.tone)];
    num_equal_ += verdict.tone == Tone::kUndecided && difference;
    return {.cells = {row.name, AccuracyOr(Accuracy(row.a)), AccuracyOr(Accuracy(row.b)), shown,
                      absl::StrCat(std::max(row.a.size(), row.b.size()), " × ", row.num_attempts),
                      absl::StrCat(tokens(row.tokens_a), " / ", tokens(row.tokens_b)),
                      verdict.sentence},
            .tone = verdict.tone};
  }

  Verdict JudgeAccuracy(const std::optional<Estimate>& difference) const {
    const auto points = [](double low, double high) {
      const std::string from = Percent(low), to = Percent(high);
      return from == to ? to : absl::StrCat(from, "–", to);
    };
    switch (Judge(difference, 0)) {
      case Outcome::kNotMeasured:
        return {Tone::kUndecided, Said("cannot_judge")};
      case Outcome::kNoDifference:
        return {Tone::kUndecided, Said("no_difference")};
      case Outcome::kAHigher:
        return {Tone::kABetter,
                Said("more_accurate", comparison_.a.name,
                     points(difference->interval->low, difference->interval->high))};
      case Outcome::kBHigher:
        return {Tone::kBBetter,
                Said("more_accurate", comparison_.b.name,
                     points(-difference->interval->high, -difference->interval->low))};
    }
    return {};
  }

  // Of the rows judged so far.
  std::string Summary() const {
    const int num_a = num_by_tone_[static_cast<int>(Tone::kABetter)];
    const int num_b = num_by_tone_[static_cast<int>(Tone::kBBetter)];
    const int num_undecided = num_by_tone_[static_cast<int>(Tone::kUndecided)];
    return Said("summary", num_a + num_b + num_undecided, comparison_.a.name, num_a,
                comparison_.b.name, num_b, num_equal_, num_undecided - num_equal_);
  }

  Section WarningSection() const {
    Section section{.heading = Said("warnings"), .items = warnings_, .is_warning = true};
    for (const Note& note : comparison_.warnings) {
      section.items.push_back(language_ == Language::kEnglish ? note.en : note.zh);
    }
    return section;
  }

  std::vector<std::string> Reading() const {
    std::vector<std::string> items;
    for (const char* key : {"reading_interval", "reading_none", "reading_many", "reading_accuracy",
                            "reading_exact", "reading_terms"}) {
      items.push_back(Said(key));
    }
    return items;
  }

  Section PlotSection() const {
    Section section{.heading = Said("plots")};
    for (const Plot& plot : comparison_.plots) {
      if (plot.a.empty() && plot.b.empty()) continue;
      PlotOnPage shown{.plot = &plot};
      const auto name = [&](const char* title, const char* x_title, const char* y_title) {
        shown.title = Said(title);
        shown.x_title = Said(x_title);
        shown.y_title = Said(y_title);
      };
      switch (plot.kind) {
        case PlotKind::kLatencyCdf:
          name("latency_cdf", "latency_axis", "share_axis");
          break;
        case PlotKind::kThroughput:
          name("throughput", "concurrency_axis", "rate_axis");
          break;
        case PlotKind::kItl:
          name("itl", "time_axis", "itl_axis");
          break;
        case PlotKind::kAccuracyTokens:
          name("accuracy_tokens", "tokens_axis", "accuracy_axis");
          break;
      }
      if (!plot.detail.empty()) absl::StrAppend(&shown.title, " · ", plot.detail);
      section.plots.push_back(std::move(shown));
    }
    return section;
  }

  Section RooflineSection() const {
    Section section{.heading = Said("roofline")};
    section.table.header = {Said("figure"), Said("bound"), Said("arithmetic"),
                            Said("part_of_bound")};
    for (const Row& row : comparison_.rows) {
      if (row.bound_a) AddBound(section.table, row, "A", row.a, *row.bound_a);
      if (row.bound_b) AddBound(section.table, row, "B", row.b, *row.bound_b);
    }
    section.paragraphs = {Said(section.table.rows.empty() ? "no_roofline" : "roofline_about")};
    return section;
  }

  void AddBound(Table& table, const Row& row, const char* side, const Runs& runs,
                const Bound& bound) const {
    std::string reached = "–";
    if (const std::optional<Estimate> estimate = GeometricMean(runs)) {
      const double part =
          bound.is_upper ? estimate->value / bound.value : bound.value / estimate->value;
      reached = absl::StrCat(Percent(part), "%");
    }
    table.rows.push_back(
        {.cells = {absl::StrCat(PlaceOf(row), " · ", side),
                   absl::StrCat(bound.is_upper ? "≤ " : "≥ ", Figure(row.quantity, bound.value)),
                   bound.arithmetic, reached}});
  }

  Section SubjectSection() const {
    const auto cells = [](std::string name, const std::string& a, const std::string& b) {
      const auto shown = [](const std::string& text) { return text.empty() ? "–" : text; };
      return TableRow{.cells = {std::move(name), shown(a), shown(b)}};
    };
    const Subject &a = comparison_.a, &b = comparison_.b;
    Section section{.heading = Said("subjects")};
    section.table.header = {"", absl::StrCat("A: ", a.name), absl::StrCat("B: ", b.name)};
    section.table.rows = {cells(Said("model_name"), a.model, b.model),
                          cells(Said("server"), a.server, b.server),
                          cells(Said("started_by"), a.command, b.command)};
    return section;
  }

  Section EnvironmentSection() const {
    Section section{.heading = Said("environment")};
    section.table.header = {"", ""};
    for (const Fact& fact : comparison_.environment) {
      section.table.rows.push_back({.cells = {NameOf(language_, fact.name), fact.value}});
    }
    return section;
  }

  const Comparison& comparison_;
  const Language language_;
  std::vector<std::string> warnings_;
  int num_by_tone_[4] = {};
  int num_equal_ = 0;  // of the undecided: judged, and nothing shown
};

}  // namespace

Page MakePage(const Comparison& comparison, Language language) {
  return PageMaker(comparison, language).Make();
}

}  // namespace weft::compare
