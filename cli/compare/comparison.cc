#include "cli/compare/comparison.h"

#include <boost/json.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"

namespace weft::compare {
namespace {

namespace json = boost::json;

constexpr std::pair<Quantity, const char*> kQuantities[] = {
    {Quantity::kTime, "time_ms"}, {Quantity::kRate, "tokens_per_s"}, {Quantity::kBytes, "bytes"}};

constexpr std::pair<PlotKind, const char*> kPlotKinds[] = {
    {PlotKind::kLatencyCdf, "latency_cdf"},
    {PlotKind::kThroughput, "throughput"},
    {PlotKind::kItl, "itl"},
    {PlotKind::kAccuracyTokens, "accuracy_tokens"}};

template <typename Enum, size_t kCount>
const char* NameIn(const std::pair<Enum, const char*> (&names)[kCount], Enum value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  return "";
}

bool HasShares(PlotKind kind) {
  return kind == PlotKind::kLatencyCdf || kind == PlotKind::kAccuracyTokens;
}

json::array Json(const Runs& runs) {
  json::array array;
  for (const std::optional<double>& run : runs) {
    array.push_back(run ? json::value(*run) : json::value(nullptr));
  }
  return array;
}

json::value Json(const std::optional<Bound>& bound) {
  if (!bound) return nullptr;
  return json::object{
      {"is_upper", bound->is_upper}, {"value", bound->value}, {"arithmetic", bound->arithmetic}};
}

json::object Json(const Subject& subject) {
  return {{"name", subject.name},
          {"model", subject.model},
          {"server", subject.server},
          {"command", subject.command}};
}

json::object Json(const Row& row) {
  return {{"task", row.task},
          {"metric", row.metric},
          {"detail", row.detail},
          {"quantity", NameIn(kQuantities, row.quantity)},
          {"exact", row.is_exact},
          {"a", Json(row.a)},
          {"b", Json(row.b)},
          {"bound_a", Json(row.bound_a)},
          {"bound_b", Json(row.bound_b)}};
}

json::object Json(const AccuracyRow& row) {
  return {{"name", row.name},
          {"attempts", row.num_attempts},
          {"a", json::value_from(row.a)},
          {"b", json::value_from(row.b)},
          {"tokens_a", row.tokens_a},
          {"tokens_b", row.tokens_b}};
}

json::array Json(const std::vector<Point>& points) {
  json::array array;
  for (const Point& point : points) {
    json::object object{{"x", point.x}, {"y", point.y}};
    if (point.interval) {
      object["low"] = point.interval->low;
      object["high"] = point.interval->high;
    }
    array.push_back(std::move(object));
  }
  return array;
}

json::object Json(const Plot& plot) {
  return {{"kind", NameIn(kPlotKinds, plot.kind)},
          {"detail", plot.detail},
          {"a", Json(plot.a)},
          {"b", Json(plot.b)}};
}

json::object Json(const Fact& fact) { return {{"name", fact.name}, {"value", fact.value}}; }
json::object Json(const Note& note) { return {{"en", note.en}, {"zh", note.zh}}; }

template <typename T>
json::array JsonList(const std::vector<T>& list) {
  json::array array;
  for (const T& item : list) array.push_back(Json(item));
  return array;
}

// Reads objects within objects and keeps the first thing that is wrong, as JsonFields
// does within one.
class Reader {
 public:
  const absl::Status& status() const { return status_; }
  void Keep(const JsonFields& fields) {
    if (status_.ok()) status_ = fields.status();
  }

  template <typename T>
  T Object(JsonFields& parent, const char* name, T (Reader::*read)(JsonFields&)) {
    const json::value* value = parent.Find(name);
    if (value == nullptr || !value->is_object()) {
      parent.Refuse(name, "is to be an object");
      return {};
    }
    JsonFields fields(absl::StrCat(parent.source(), ": ", name), value->get_object());
    T result = (this->*read)(fields);
    Keep(fields);
    return result;
  }

  // An absent list is an empty one.
  template <typename T>
  std::vector<T> List(JsonFields& parent, const char* name, T (Reader::*read)(JsonFields&)) {
    std::vector<T> list;
    ForEach(parent, name, [&](const json::value& value, const std::string& place) {
      if (!value.is_object()) return parent.Refuse(name, "is to hold objects");
      JsonFields fields(place, value.get_object());
      list.push_back((this->*read)(fields));
      Keep(fields);
    });
    return list;
  }

  Subject ReadSubject(JsonFields& fields) {
    return {.name = fields.String("name"),
            .model = fields.String("model", ""),
            .server = fields.String("server", ""),
            .command = fields.String("command", "")};
  }

  Row ReadRow(JsonFields& fields) {
    Row row{.task = fields.String("task", ""),
            .metric = fields.String("metric"),
            .detail = fields.String("detail", ""),
            .quantity = Choice(fields, "quantity", kQuantities),
            .a = ReadRuns(fields, "a"),
            .b = ReadRuns(fields, "b"),
            .is_exact = fields.Bool("exact", false)};
    if (row.a.size() != row.b.size()) {
      fields.Refuse("a", "and b are to have as many rounds (null for one that failed)");
    }
    if (row.is_exact && row.a.size() != 1) fields.Refuse("a", "of an exact row is one number");
    if (fields.Has("bound_a")) row.bound_a = Object(fields, "bound_a", &Reader::ReadBound);
    if (fields.Has("bound_b")) row.bound_b = Object(fields, "bound_b", &Reader::ReadBound);
    return row;
  }

  Bound ReadBound(JsonFields& fields) {
    Bound bound{.is_upper = fields.Bool("is_upper"),
                .value = fields.Number("value"),
                .arithmetic = fields.String("arithmetic", "")};
    if (bound.value <= 0) fields.Refuse("value", "of a bound is above 0");
    return bound;
  }

  AccuracyRow ReadAccuracy(JsonFields& fields) {
    AccuracyRow row{
        .name = fields.String("name"),
        .num_attempts = static_cast<int>(fields.Int("attempts", {.min = 1, .max = 1'000'000}, 1)),
        .a = ReadScores(fields, "a"),
        .b = ReadScores(fields, "b"),
        .tokens_a = fields.Number("tokens_a", 0),
        .tokens_b = fields.Number("tokens_b", 0)};
    // One that was not evaluated has no score at all.
    if (!row.a.empty() && !row.b.empty() && row.a.size() != row.b.size()) {
      fields.Refuse("a", "and b are to have the same problems");
    }
    return row;
  }

  Plot ReadPlot(JsonFields& fields) {
    Plot plot{.kind = Choice(fields, "kind", kPlotKinds),
              .detail = fields.String("detail", ""),
              .a = List(fields, "a", &Reader::ReadPoint),
              .b = List(fields, "b", &Reader::ReadPoint)};
    const double most = HasShares(plot.kind) ? 1 : std::numeric_limits<double>::infinity();
    for (const auto& [name, points] : {std::pair("a", &plot.a), {"b", &plot.b}}) {
      for (const Point& point : *points) {
        const Interval range = point.interval.value_or(Interval{.low = point.y, .high = point.y});
        if (0 <= range.low && range.low <= range.high && range.high <= most) continue;
        fields.Refuse(name, most == 1 ? "is to have y, low and high from 0 to 1, low the lesser"
                                      : "is to have y, low and high from 0 on, low the lesser");
      }
    }
    return plot;
  }

  Point ReadPoint(JsonFields& fields) {
    Point point{.x = fields.Number("x"), .y = fields.Number("y")};
    if (fields.Has("low") || fields.Has("high")) {
      point.interval = Interval{.low = fields.Number("low"), .high = fields.Number("high")};
    }
    return point;
  }

  Fact ReadFact(JsonFields& fields) {
    return {.name = fields.String("name"), .value = fields.String("value")};
  }

  Note ReadNote(JsonFields& fields) {
    return {.en = fields.String("en"), .zh = fields.String("zh")};
  }

  std::vector<std::string> ReadStrings(JsonFields& fields, const char* name) {
    std::vector<std::string> strings;
    ForEach(fields, name, [&](const json::value& value, const std::string&) {
      if (!value.is_string()) return fields.Refuse(name, "is to hold strings");
      strings.emplace_back(value.get_string());
    });
    return strings;
  }

 private:
  using Visit = std::function<void(const json::value&, const std::string& place)>;

  void ForEach(JsonFields& fields, const char* name, const Visit& visit) {
    const json::value* value = fields.Find(name);
    if (value == nullptr) return;
    if (!value->is_array()) return fields.Refuse(name, "is to be a list");
    int index = 0;
    for (const json::value& item : value->get_array()) {
      visit(item, absl::StrCat(fields.source(), ": ", name, "[", index++, "]"));
    }
  }

  Runs ReadRuns(JsonFields& fields, const char* name) {
    Runs runs;
    ForEach(fields, name, [&](const json::value& value, const std::string&) {
      if (value.is_null()) return runs.push_back(std::nullopt);
      const double run = value.is_number() ? value.to_number<double>() : 0;
      if (!std::isfinite(run) || run <= 0) {
        return fields.Refuse(name, "is to hold numbers above 0, or null for a failed round");
      }
      runs.push_back(run);
    });
    return runs;
  }

  Scores ReadScores(JsonFields& fields, const char* name) {
    Scores scores;
    ForEach(fields, name, [&](const json::value& value, const std::string&) {
      const double score = value.is_number() ? value.to_number<double>() : -1;
      if (!(score >= 0 && score <= 1)) {
        return fields.Refuse(name, "is to hold shares from 0 to 1");
      }
      scores.push_back(score);
    });
    return scores;
  }

  template <typename Enum, size_t kCount>
  Enum Choice(JsonFields& fields, const char* name,
              const std::pair<Enum, const char*> (&choices)[kCount]) {
    const std::string word = fields.String(name);
    std::string known;
    for (const auto& [value, choice] : choices) {
      if (word == choice) return value;
      absl::StrAppend(&known, known.empty() ? "" : ", ", choice);
    }
    fields.Refuse(name, absl::StrCat("\"", word, "\" is none of ", known));
    return choices[0].first;
  }

  absl::Status status_;
};

}  // namespace

std::string ToJson(const Comparison& comparison) {
  json::array commands;
  for (const std::string& command : comparison.commands) commands.emplace_back(command);
  return json::serialize(json::object{{"date", comparison.date},
                                      {"a", Json(comparison.a)},
                                      {"b", Json(comparison.b)},
                                      {"rows", JsonList(comparison.rows)},
                                      {"accuracy", JsonList(comparison.accuracy)},
                                      {"plots", JsonList(comparison.plots)},
                                      {"environment", JsonList(comparison.environment)},
                                      {"commands", std::move(commands)},
                                      {"warnings", JsonList(comparison.warnings)}}) +
         "\n";
}

absl::StatusOr<Comparison> ParseComparison(const std::string& source, std::string_view text) {
  auto fields = JsonFields::Parse(source, text);
  if (!fields.ok()) return fields.status();
  Reader reader;
  Comparison comparison{
      .date = fields->String("date", ""),
      .a = reader.Object(*fields, "a", &Reader::ReadSubject),
      .b = reader.Object(*fields, "b", &Reader::ReadSubject),
      .rows = reader.List(*fields, "rows", &Reader::ReadRow),
      .accuracy = reader.List(*fields, "accuracy", &Reader::ReadAccuracy),
      .plots = reader.List(*fields, "plots", &Reader::ReadPlot),
      .environment = reader.List(*fields, "environment", &Reader::ReadFact),
      .commands = reader.ReadStrings(*fields, "commands"),
      .warnings = reader.List(*fields, "warnings", &Reader::ReadNote),
  };
  reader.Keep(*fields);
  if (!reader.status().ok()) return reader.status();
  return comparison;
}

}  // namespace weft::compare
