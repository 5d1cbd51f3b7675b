// What a comparison of two subjects A and B measured, as plain data: all that a report
// prints, so that a saved one can be rendered again.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/compare/roofline.h"
#include "cli/compare/statistics.h"

namespace weft::compare {

struct Subject {
  std::string name;     // short: it heads columns
  std::string model;    // as the hub names it
  std::string server;   // program and version
  std::string command;  // that started it; empty: it was running
};

// What is better, how it is written, and what the winner is called.
enum class Quantity {
  kTime,   // milliseconds; less is better
  kRate,   // tokens a second; more is better
  kBytes,  // less is better
};

struct Row {
  std::string task;    // a heading: a key of the texts ("summarize"), or a name
  std::string metric;  // likewise ("ttft_p50")
  std::string detail;  // numbers and units alone: "512 → 128, × 8"
  Quantity quantity = Quantity::kTime;
  // By round; as many of A as of B. A round that failed is none, so that it is seen.
  Runs a, b;
  // Computed or counted, not measured: one round, no noise.
  bool is_exact = false;
  std::optional<Bound> bound_a, bound_b;
};

struct AccuracyRow {
  std::string name;      // "GSM8K"
  int num_attempts = 1;  // at each problem, with seeds of their own
  Scores a, b;           // by problem, the same problems in the same order
  // An answer, on average; 0: not counted.
  double tokens_a = 0, tokens_b = 0;
};

enum class PlotKind { kLatencyCdf, kThroughput, kItl, kAccuracyTokens };

struct Point {
  double x = 0, y = 0;
  std::optional<Interval> interval;  // of y
};

// Ascending in x, but for kAccuracyTokens, whose points stand alone.
struct Plot {
  //                    x                          y
  // kLatencyCdf        ms, logarithmic            share of requests, 0 to 1
  // kThroughput        requests at a time, log.   tokens a second
  // kItl               s since the run's start    ms
  // kAccuracyTokens    tokens of an answer, log.  accuracy, 0 to 1
  PlotKind kind = PlotKind::kLatencyCdf;
  std::string detail;  // as a row's
  std::vector<Point> a, b;
};

// A name (a key of the texts, or any) and what it is there.
struct Fact {
  std::string name, value;
};

// Said in both languages by whoever says it.
struct Note {
  std::string en, zh;
};

struct Comparison {
  std::string date;  // ISO 8601
  Subject a, b;
  std::vector<Row> rows;
  std::vector<AccuracyRow> accuracy;
  std::vector<Plot> plots;
  std::vector<Fact> environment;      // "gpu", "driver", ...
  std::vector<std::string> commands;  // that measured
  std::vector<Note> warnings;
};

std::string ToJson(const Comparison& comparison);
// InvalidArgument names the place and what would be right. `source` names the text.
absl::StatusOr<Comparison> ParseComparison(const std::string& source, std::string_view json);

}  // namespace weft::compare
