// What holds of every answer.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/eval/boxed.h"
#include "cli/eval/grade.h"

namespace weft::eval {
namespace {

// Pieces that mean something to a parser, more often than random bytes do.
rc::Gen<std::string> Latex() {
  const auto piece = rc::gen::elementOf(std::vector<std::string>{"\\frac",
                                                                 "\\sqrt",
                                                                 "{",
                                                                 "}",
                                                                 "(",
                                                                 ")",
                                                                 "[",
                                                                 "]",
                                                                 "\\{",
                                                                 "\\}",
                                                                 "\\left",
                                                                 "\\right",
                                                                 "^",
                                                                 "_",
                                                                 ",",
                                                                 "\\!",
                                                                 "-",
                                                                 "+",
                                                                 "=",
                                                                 "<",
                                                                 "\\le",
                                                                 "\\cup",
                                                                 "\\pm",
                                                                 "\\infty",
                                                                 "\\pi",
                                                                 "\\sin",
                                                                 "\\log",
                                                                 "|",
                                                                 "!",
                                                                 "%",
                                                                 "^\\circ",
                                                                 "\\text{",
                                                                 "cm",
                                                                 "and",
                                                                 "x",
                                                                 "y",
                                                                 "e",
                                                                 "i",
                                                                 "7",
                                                                 "12",
                                                                 "0.5",
                                                                 "1,234",
                                                                 "/",
                                                                 " ",
                                                                 "\\begin{pmatrix}",
                                                                 "\\end{pmatrix}",
                                                                 "&",
                                                                 "\\\\",
                                                                 "\\boxed",
                                                                 "\\boxed{",
                                                                 "$",
                                                                 "\\",
                                                                 "\\overline{3}",
                                                                 "1e9",
                                                                 "\\binom",
                                                                 "99999"});
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece), [](const auto& pieces) {
    std::string text;
    for (const std::string& p : pieces) text += p;
    return text;
  });
}

rc::Gen<std::string> AnyText() {
  return rc::gen::oneOf(Latex(), rc::gen::arbitrary<std::string>());
}

std::string Without(std::string text, const std::string& word) {
  for (size_t at; (at = text.find(word)) != std::string::npos;) text.erase(at, word.size());
  return text;
}

bool IsBalanced(const std::string& text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && ++i == text.size()) return false;
    if (i > 0 && text[i - 1] == '\\') continue;
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth < 0) return false;
  }
  return depth == 0;
}

RC_GTEST_PROP(LastBoxed, GivesBackWhatWasBoxed, ()) {
  std::string answer = Without(Without(*AnyText(), "box"), "\\");
  if (!IsBalanced(answer))
    answer = absl::StrCat("\\frac{", Without(Without(answer, "{"), "}"), "}");
  const std::string before = *AnyText(), after = Without(*AnyText(), "box");
  const std::string text = absl::StrCat(before, " \\boxed{", answer, "} ", after);
  RC_ASSERT(LastBoxed(text) == answer);
}

RC_GTEST_PROP(Grade, AnAnswerIsItself, ()) {
  const std::string answer = *AnyText();
  RC_ASSERT(Grade(answer, answer).is_right);
}

RC_GTEST_PROP(Grade, EndsWhateverTheText, ()) {
  const std::string answer = *AnyText(), reference = *AnyText();
  const auto began = std::chrono::steady_clock::now();
  Extract(answer);
  Grade(answer, reference);
  RC_ASSERT(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
}

RC_GTEST_PROP(Grade, FractionsAreEqualWhenTheyAre, (int16_t a, int16_t b, int16_t c, int16_t d)) {
  RC_PRE(b != 0 && d != 0);
  const std::string left = absl::StrCat("\\frac{", a, "}{", b, "}");
  const std::string right = absl::StrCat("\\dfrac{", c, "}{", d, "}");
  RC_ASSERT(Grade(left, right).is_right == (int64_t{a} * d == int64_t{c} * b));
  RC_ASSERT(
      Grade(absl::StrCat("\\frac{", int64_t{a} * d, "}{", int64_t{b} * d, "}"), left).is_right);
}

TEST(Grade, HugeAnswersEnd) {
  const auto repeated = [](const std::string& piece, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += piece;
    return text;
  };
  for (const char* piece :
       {"(", "{",     "\\{", "\\sqrt{", "1\\frac{", "\\frac1", "2^",   "9!",  "-",       "x,",
        "9", "\\sin", "|",   "1,",      "{x}",      "\\pm1",   "9^9^", "(1,", "\\{1,2,", "1/"}) {
    for (const int count : {10, 30, 300, 30'000}) {
      SCOPED_TRACE(absl::StrCat(count, " times ", piece));
      const std::string text = repeated(piece, count);
      for (const char* closing : {"", "1", "1}", "1)"}) {
        Grade(text + closing, text + "2");
        EXPECT_EQ(LastBoxed(absl::StrCat("\\boxed{7} ", text, closing)), "7");
      }
    }
  }
  EXPECT_FALSE(Grade("9^{9^{9^{9}}}", "1").is_right);
  EXPECT_FALSE(Grade("10000000!", "1").is_right);
}

}  // namespace
}  // namespace weft::eval
