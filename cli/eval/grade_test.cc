#include "cli/eval/grade.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "cli/eval/boxed.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

const std::string kFolder = WEFT_SOURCE_DIR "/cli/eval/";

// verdict TAB answer TAB reference; the verdict is = or !.
TEST(Grade, AgreesWithEveryWorkedCase) {
  std::ifstream file(kFolder + "grade_cases.txt");
  ASSERT_TRUE(file);
  std::set<std::string> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t first = line.find('\t'), second = line.find('\t', first + 1);
    ASSERT_NE(second, std::string::npos) << line;
    const std::string verdict = line.substr(0, first);
    const std::string answer = line.substr(first + 1, second - first - 1);
    const std::string reference = line.substr(second + 1);
    ASSERT_TRUE(verdict == "=" || verdict == "!") << line;
    EXPECT_EQ(Grade(answer, reference).is_right, verdict == "=")
        << line << ": " << Grade(answer, reference).why;
    EXPECT_TRUE(cases.insert(line).second) << "twice: " << line;
  }
  EXPECT_GE(cases.size(), 500u);
}

// The folder of data sets that are not part of the source.
std::filesystem::path SharedData() {
  for (std::filesystem::path folder = WEFT_SOURCE_DIR;; folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "shared" / "data")) return folder / "shared" / "data";
    if (folder == folder.parent_path()) return {};
  }
}

TEST(Grade, EveryMath500SolutionBoxesItsAnswer) {
  const std::filesystem::path data = SharedData();
  if (data.empty()) GTEST_SKIP() << "no shared/data beside or above the source";
  std::ifstream file(data / "math500_test.jsonl");
  int num_rows = 0;
  for (std::string line; std::getline(file, line); ++num_rows) {
    const json::value row = json::parse(line);
    const std::string answer(row.at("answer").as_string());
    const auto boxed = LastBoxed(std::string(row.at("solution").as_string()));
    ASSERT_TRUE(boxed) << row.at("unique_id");
    EXPECT_TRUE(Grade(*boxed, answer).is_right) << *boxed << " is not " << answer;
  }
  EXPECT_EQ(num_rows, 500);
}

// Different texts are different answers, but for those that say the same, or the same beside a
// unit that one of them leaves out.
TEST(Grade, TellsTheAnswersOfMath500Apart) {
  const std::filesystem::path data = SharedData();
  if (data.empty()) GTEST_SKIP() << "no shared/data beside or above the source";
  std::ifstream file(data / "math500_test.jsonl");
  std::set<std::string> answers;
  for (std::string line; std::getline(file, line);) {
    answers.emplace(json::parse(line).at("answer").as_string());
  }
  using Pairs = std::set<std::pair<std::string, std::string>>;
  Pairs equal;
  for (const std::string& a : answers) {
    for (const std::string& b : answers) {
      if (a < b && Grade(a, b).is_right) equal.emplace(a, b);
    }
  }
  EXPECT_EQ(equal, (Pairs{{"(-2,1)", "-2,1"},
                          {"-2,1", "1,-2"},
                          {"10,\\!080", "10080"},
                          {"120", "120^\\circ"},
                          {"15", "15\\mbox{ cm}^2"},
                          {"2 \\sqrt{5}", "2\\sqrt{5}"},
                          {"30", "30^\\circ"},
                          {"36", "36^\\circ"},
                          {"36", "\\$36"},
                          {"36^\\circ", "\\$36"},
                          {"5", "x=5"},
                          {"90", "90^\\circ"},
                          {"\\frac14", "\\frac{1}{4}"}}));
}

TEST(Grade, SaysWhy) {
  EXPECT_EQ(Grade("7", "7").why, "same text");
  EXPECT_EQ(Grade("(B) seven", "B").why, "same choice");
  EXPECT_EQ(Grade("0.5", "\\frac12").why, "equal value");
  EXPECT_EQ(Grade("0.6", "\\frac12").why, "other value");
  EXPECT_EQ(Grade("no idea", "\\frac12").why, "other text");
}

}  // namespace
}  // namespace weft::eval
