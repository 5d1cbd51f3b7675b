#include "cli/eval/problem.h"

#include <boost/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

// The first of `names` that is there, as text; empty: none.
std::string TextOf(const json::object& row, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const json::value* const field = row.if_contains(name);
    if (field == nullptr) continue;
    if (field->is_string()) return std::string(field->get_string());
    if (field->is_number()) return json::serialize(*field);
  }
  return {};
}

}  // namespace

absl::StatusOr<std::vector<Problem>> ParseProblems(std::string_view text,
                                                   const std::string& source) {
  constexpr std::string_view kGsm8kMark = "#### ";
  std::vector<Problem> problems;
  std::set<std::string> ids;
  int num_lines = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++num_lines;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto refuse = [&](const std::string& what) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, ", line ", num_lines, ": ", what,
          R"(; a line is like {"id": "1", "problem": "What is 1 + 1?", "answer": "2"})"));
    };
    boost::system::error_code error;
    const json::value row = json::parse({line.data(), line.size()}, error);
    if (error || !row.is_object()) return refuse("no JSON object");
    Problem problem = {.id = TextOf(row.get_object(), {"id", "unique_id"}),
                       .question = TextOf(row.get_object(), {"problem", "question"}),
                       .answer = TextOf(row.get_object(), {"answer"})};
    if (problem.question.empty()) return refuse("no problem (or question)");
    if (const size_t mark = problem.answer.rfind(kGsm8kMark); mark != std::string::npos) {
      problem.answer.erase(0, mark + kGsm8kMark.size());
    }
    absl::StripAsciiWhitespace(&problem.answer);
    if (problem.answer.empty()) return refuse("no answer");
    if (problem.id.empty()) problem.id = absl::StrCat(problems.size());
    if (!ids.insert(problem.id).second) {
      return refuse(absl::StrCat("the id ", problem.id, " is there twice"));
    }
    problems.push_back(std::move(problem));
  }
  if (problems.empty()) return absl::InvalidArgumentError(absl::StrCat(source, ": no problems"));
  return problems;
}

}  // namespace weft::eval
