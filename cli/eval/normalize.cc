#include "cli/eval/normalize.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

namespace weft::eval {
namespace {

// Commands that say nothing.
constexpr std::string_view kSilent[] = {
    "left", "right",  "bigl",         "bigr",      "Bigl", "Bigr",  "big", "Big", "bigg",
    "Bigg", "limits", "displaystyle", "textstyle", "quad", "qquad", "rm",  "bf"};
// Commands whose argument is words; those whose argument is mathematics all the same.
constexpr std::string_view kWords[] = {"text",   "mathrm", "textbf", "textit",    "textrm",
                                       "textsf", "mbox",   "emph",   "textnormal"};
constexpr std::string_view kFonts[] = {"mathbf",       "mathit", "mathsf", "boldsymbol",
                                       "operatorname", "mathbb", "mathcal"};

constexpr std::pair<std::string_view, std::string_view> kSynonyms[] = {
    {"dfrac", "frac"},      {"tfrac", "frac"}, {"cfrac", "frac"},  {"dbinom", "binom"},
    {"leq", "le"},          {"geq", "ge"},     {"leqslant", "le"}, {"geqslant", "ge"},
    {"neq", "ne"},          {"lbrace", "{"},   {"rbrace", "}"},    {"varnothing", "emptyset"},
    {"bmatrix", "pmatrix"}, {"lvert", "|"},    {"rvert", "|"},     {"vert", "|"}};

template <typename Range>
bool Contains(const Range& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string WithTexSigns(std::string_view text) {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()), {{"−", "-"},
                                                                           {"–", "-"},
                                                                           {"×", "\\times "},
                                                                           {"·", "\\cdot "},
                                                                           {"÷", "\\div "},
                                                                           {"π", "\\pi "},
                                                                           {"∞", "\\infty "},
                                                                           {"√", "\\sqrt "},
                                                                           {"°", "^\\circ "},
                                                                           {"±", "\\pm "},
                                                                           {"∪", "\\cup "},
                                                                           {"∈", "\\in "},
                                                                           {"≤", "\\le "},
                                                                           {"≥", "\\ge "},
                                                                           {"≈", "\\approx "},
                                                                           {"∅", "\\emptyset "},
                                                                           {"²", "^2 "},
                                                                           {"³", "^3 "},
                                                                           {"½", "\\frac{1}{2}"},
                                                                           {"¼", "\\frac{1}{4}"},
                                                                           {"¾", "\\frac{3}{4}"},
                                                                           {"£", ""},
                                                                           {"€", ""},
                                                                           {"\u00a0", " "},
                                                                           {"**", "^"},
                                                                           {"\"", ""}});
}

// The end of the group that begins with '{' at `begin`; npos: there is none.
size_t EndOfGroup(std::string_view text, size_t begin) {
  int depth = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

struct NumberWord {
  std::string_view word, digits;
};
constexpr NumberWord kNumberWords[] = {
    {"zero", "0"},     {"one", "1"},        {"two", "2"},       {"three", "3"},
    {"four", "4"},     {"five", "5"},       {"six", "6"},       {"seven", "7"},
    {"eight", "8"},    {"nine", "9"},       {"ten", "10"},      {"eleven", "11"},
    {"twelve", "12"},  {"thirteen", "13"},  {"fourteen", "14"}, {"fifteen", "15"},
    {"sixteen", "16"}, {"seventeen", "17"}, {"eighteen", "18"}, {"nineteen", "19"},
    {"twenty", "20"},  {"thirty", "30"},    {"forty", "40"},    {"fifty", "50"},
    {"sixty", "60"},   {"seventy", "70"},   {"eighty", "80"},   {"ninety", "90"},
    {"hundred", "100"}};

class Normalizer {
 public:
  explicit Normalizer(std::string_view text) : text_(text) {}

  std::string Run() {
    while (at_ < text_.size()) Step();
    return std::move(out_);
  }

 private:
  void Step() {
    const char c = text_[at_];
    if (c == '\\') {
      Command();
    } else if (c == '$' || c == '~') {
      out_ += c == '~' ? " " : "";
      ++at_;
    } else if (text_.substr(at_).starts_with("{,}")) {
      out_ += ",\\!";
      at_ += 3;
    } else {
      out_ += absl::ascii_isspace(c) ? ' ' : c;
      ++at_;
    }
  }

  void Command() {
    const size_t begin = ++at_;
    while (at_ < text_.size() && absl::ascii_isalpha(text_[at_])) ++at_;
    std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) {
      Character();
      return;
    }
    const auto* const synonym = std::find_if(std::begin(kSynonyms), std::end(kSynonyms),
                                             [&](const auto& pair) { return pair.first == name; });
    if (synonym != std::end(kSynonyms)) name = synonym->second;
    if (Contains(kSilent, name)) {
      SkipInvisible();
    } else if (Contains(kWords, name) || Contains(kFonts, name)) {
      Argument(Contains(kWords, name));
    } else if (name == "|") {
      out_ += '|';
    } else {
      out_ += '\\';
      out_ += name;
      // A letter behind it belongs to something else.
      if (at_ < text_.size() && absl::ascii_isalnum(text_[at_])) out_ += ' ';
      if (name == "begin" || name == "end") Environment();
    }
  }

  // \left. and \right. show nothing.
  void SkipInvisible() {
    if (at_ < text_.size() && text_[at_] == '.' &&
        !(at_ + 1 < text_.size() && absl::ascii_isdigit(text_[at_ + 1]))) {
      ++at_;
    }
  }

  // \, and others: a backslash and one character.
  void Character() {
    if (at_ == text_.size()) return;
    const char c = text_[at_++];
    switch (c) {
      case '!':
        // "10,\!080" is one number.
        if (absl::EndsWith(out_, ",")) out_ += "\\!";
        break;
      case ',':
      case ';':
      case ':':
      case ' ':
      case '>':
        out_ += ' ';
        break;
      case '(':
      case ')':
      case '[':
      case ']':
      case '$':
        break;
      case '%':
        out_ += '%';
        break;
      default:
        out_ += '\\';
        out_ += c;
    }
  }

  void Argument(bool is_words) {
    const size_t begin = text_.find_first_not_of(' ', at_);
    if (begin == std::string_view::npos || text_[begin] != '{') return;
    const size_t end = EndOfGroup(text_, begin);
    if (end == std::string_view::npos) return;
    // One level: what is nested in words is rare, and read as it stands.
    out_ += is_words ? '"' : ' ';
    for (const char c : text_.substr(begin + 1, end - begin - 1)) {
      if (c != '$' && c != '"') out_ += absl::ascii_isspace(c) || c == '~' ? ' ' : c;
    }
    out_ += is_words ? '"' : ' ';
    at_ = end + 1;
  }

  // {bmatrix}, {array}{cc}: they are all pmatrix.
  void Environment() {
    const size_t end = text_.find('}', at_);
    if (end == std::string_view::npos || text_[at_] != '{') return;
    std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (name == "array" && at_ < text_.size() && text_[at_] == '{') {
      const size_t columns = text_.find('}', at_);
      if (columns != std::string_view::npos) at_ = columns + 1;
    }
    if (name == "bmatrix" || name == "array" || name == "matrix" || name == "smallmatrix") {
      name = "pmatrix";
    }
    out_ += '{';
    out_ += name;
    out_ += '}';
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string Normalize(std::string_view answer) {
  const std::string signs = WithTexSigns(answer);
  std::string text = Normalizer(signs).Run();
  absl::StripAsciiWhitespace(&text);
  while (!text.empty() && (text.back() == '.' || text.back() == ' ' || text.back() == ',')) {
    text.pop_back();
  }
  return text;
}

std::string Plain(std::string_view answer) {
  std::string text;
  const std::string normalized = Normalize(answer);
  for (size_t i = 0; i < normalized.size(); ++i) {
    const char c = normalized[i];
    if (c == '\\' && i + 1 < normalized.size()) {
      if (normalized[i + 1] != '!') text.append(normalized, i, 2);
      ++i;
    } else if (c == ' ' || c == '"') {
      // "1 1/2" is not "11/2".
      const size_t next = normalized.find_first_not_of(" \"", i);
      if (next != std::string::npos && !text.empty() && absl::ascii_isdigit(text.back()) &&
          absl::ascii_isdigit(normalized[next])) {
        text += ' ';
      }
    } else {
      text += absl::ascii_tolower(c);
    }
  }
  for (const NumberWord& word : kNumberWords) {
    if (text == word.word) return std::string(word.digits);
  }
  return text;
}

}  // namespace weft::eval
