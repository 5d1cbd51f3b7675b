// What the transcripts of a run come to.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/eval/statistics.h"
#include "cli/eval/transcript.h"

namespace weft::eval {

struct Summary {
  int num_problems = 0;  // that were answered
  int num_seeds = 0;     // most answers of a problem
  int64_t num_answers = 0;
  int64_t num_right = 0;
  int64_t num_truncated = 0;  // in their thinking; they count as wrong
  int64_t num_unboxed = 0;    // whose answer was found elsewhere than in a box, or nowhere
  Estimate accuracy;          // pass@1: the mean over seeds, its error clustered by problem
  Interval interval;          // of the accuracy, 95%, where each problem has one answer
  // maj@k with k = num_seeds: the answer that most seeds gave, the earliest seed's among equals.
  // Only problems that have all k answers count.
  Estimate majority;
  double tokens_per_answer = 0;
  double tokens_per_correct = 0;   // all tokens over right answers; 0: none is right
  double seconds_per_correct = 0;  // of requests, one after another
};

Summary Summarize(const std::vector<Transcript>& transcripts);

boost::json::object ToJson(const Summary& summary);
// For a terminal; ends in a line's end.
std::string Table(const Summary& summary);

// One page without anything from elsewhere: every transcript, to be filtered and searched.
// `summary` has the names `model` and `dataset` besides ToJson's.
std::string Page(const boost::json::object& summary, const std::vector<Transcript>& transcripts);

}  // namespace weft::eval
