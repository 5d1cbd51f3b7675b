#include "cli/eval/summary.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "cli/eval/embedded.h"
#include "cli/eval/grade.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

using Answers = std::vector<const Transcript*>;  // to one problem, by seed

bool MajorityIsRight(const Answers& answers) {
  struct Camp {
    const Transcript* first;
    int num_votes;
  };
  std::vector<Camp> camps;
  for (const Transcript* t : answers) {
    if (t->found == Name(Found::kNowhere)) continue;
    const auto camp = std::find_if(camps.begin(), camps.end(), [&](const Camp& c) {
      return Grade(t->answer, c.first->answer).is_right;
    });
    if (camp == camps.end()) {
      camps.push_back({t, 1});
    } else {
      ++camp->num_votes;
    }
  }
  const auto most = std::max_element(camps.begin(), camps.end(), [](const Camp& a, const Camp& b) {
    return a.num_votes < b.num_votes;  // the first of equals is the largest
  });
  return most != camps.end() && most->first->outcome == Outcome::kRight;
}

std::string Percent(const Estimate& estimate) {
  return absl::StrFormat("%.1f%% +- %.1f", 100 * estimate.mean, 100 * estimate.standard_error);
}

}  // namespace

Summary Summarize(const std::vector<Transcript>& transcripts) {
  std::map<std::string, Answers> problems;
  Summary summary;
  double num_tokens = 0, seconds = 0;
  for (const Transcript& t : transcripts) {
    problems[t.id].push_back(&t);
    ++summary.num_answers;
    summary.num_right += t.outcome == Outcome::kRight;
    summary.num_truncated += t.outcome == Outcome::kTruncated;
    summary.num_unboxed += t.outcome != Outcome::kTruncated && t.found != Name(Found::kBoxed);
    num_tokens += static_cast<double>(t.num_tokens);
    seconds += t.seconds;
  }
  summary.num_problems = static_cast<int>(problems.size());
  for (auto& [id, answers] : problems) {
    summary.num_seeds = std::max(summary.num_seeds, static_cast<int>(answers.size()));
    std::sort(answers.begin(), answers.end(),
              [](const Transcript* a, const Transcript* b) { return a->seed < b->seed; });
  }
  std::vector<std::vector<double>> is_right, majority_is_right;
  for (const auto& [id, answers] : problems) {
    std::vector<double>& group = is_right.emplace_back();
    for (const Transcript* t : answers) group.push_back(t->outcome == Outcome::kRight ? 1 : 0);
    if (static_cast<int>(answers.size()) == summary.num_seeds) {
      majority_is_right.push_back({MajorityIsRight(answers) ? 1.0 : 0.0});
    }
  }
  summary.accuracy = ClusteredMean(is_right);
  if (summary.num_seeds == 1) {
    summary.interval = WilsonInterval(summary.num_right, summary.num_answers);
  }
  summary.majority = ClusteredMean(majority_is_right);
  if (summary.num_answers > 0) {
    summary.tokens_per_answer = num_tokens / static_cast<double>(summary.num_answers);
  }
  if (summary.num_right > 0) {
    summary.tokens_per_correct = num_tokens / static_cast<double>(summary.num_right);
    summary.seconds_per_correct = seconds / static_cast<double>(summary.num_right);
  }
  return summary;
}

json::object ToJson(const Summary& s) {
  return {{"num_problems", s.num_problems},
          {"num_seeds", s.num_seeds},
          {"num_answers", s.num_answers},
          {"num_right", s.num_right},
          {"num_truncated", s.num_truncated},
          {"num_unboxed", s.num_unboxed},
          {"accuracy", s.accuracy.mean},
          {"standard_error", s.accuracy.standard_error},
          {"majority_accuracy", s.majority.mean},
          {"majority_standard_error", s.majority.standard_error},
          {"tokens_per_answer", s.tokens_per_answer},
          {"tokens_per_correct", s.tokens_per_correct},
          {"seconds_per_correct", s.seconds_per_correct}};
}

std::string Table(const Summary& s) {
  const auto line = [](const std::string& name, const std::string& value) {
    return absl::StrFormat("%-32s%s\n", name + ":", value);
  };
  std::string table =
      line("Answers", absl::StrFormat("%d to %d problems", s.num_answers, s.num_problems)) +
      line(s.num_seeds > 1 ? "Accuracy (pass@1)" : "Accuracy", Percent(s.accuracy));
  if (s.num_seeds > 1) {
    table += line(absl::StrCat("maj@", s.num_seeds), Percent(s.majority));
  } else {
    table += line("95% interval",
                  absl::StrFormat("%.1f%% to %.1f%%", 100 * s.interval.low, 100 * s.interval.high));
  }
  table += line("Truncated while thinking", absl::StrCat(s.num_truncated)) +
           line("Answers found outside a box", absl::StrCat(s.num_unboxed)) +
           line("Tokens per answer", absl::StrFormat("%.1f", s.tokens_per_answer));
  if (s.num_right > 0) {
    table += line("Tokens per correct answer", absl::StrFormat("%.1f", s.tokens_per_correct)) +
             line("Seconds per correct answer", absl::StrFormat("%.2f", s.seconds_per_correct));
  }
  return table;
}

std::string Page(const json::object& summary, const std::vector<Transcript>& transcripts) {
  json::array rows;
  for (const Transcript& t : transcripts) rows.push_back(ToJson(t));
  const json::object run = {{"summary", summary}, {"transcripts", std::move(rows)}};
  // Within a string of JSON only: nothing that a model wrote ends the element.
  const std::string data = absl::StrReplaceAll(json::serialize(run), {{"<", "\\u003c"}});
  return absl::StrReplaceAll(absl::string_view(kPage.data(), kPage.size()), {{"__RUN__", data}});
}

}  // namespace weft::eval
