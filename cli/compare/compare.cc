#include "cli/compare/compare.h"

#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cli/bench/report.h"
#include "cli/compare/comparison.h"
#include "cli/compare/html.h"
#include "cli/compare/markdown.h"
#include "cli/compare/page.h"
#include "common/flags.h"
#include "common/json_fields.h"

namespace weft::compare {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxBytes = int64_t{1} << 28;

struct Options {
  std::string render;
  std::string output = ".";
  std::string lang = "both";
};

std::vector<Language> LanguagesOf(const std::string& lang) {
  if (lang == "en") return {Language::kEnglish};
  if (lang == "zh") return {Language::kChinese};
  return {Language::kEnglish, Language::kChinese};
}

int Fail(const absl::Status& status, int exit_code) {
  std::cerr << "weft compare: " << status.message() << '\n';
  return exit_code;
}

absl::StatusOr<Comparison> Load(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError("--render FILE: name the saved comparison to render");
  }
  const auto text = ReadFile(path, kMaxBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--render ", text.status().message()));
  }
  return ParseComparison(absl::StrCat("--render ", path), *text);
}

absl::Status WriteReport(const Comparison& comparison, const Options& options) {
  const fs::path folder = options.output;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("--output ", options.output, ": ", error.message()));
  }
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = folder / name;
    absl::Status status = bench::WriteFile("--output", path, text);
    if (status.ok()) std::cout << path << '\n';
    return status;
  };
  std::vector<Page> pages;
  for (const Language language : LanguagesOf(options.lang)) {
    pages.push_back(MakePage(comparison, language));
  }
  if (absl::Status status = write("report.html", Html(pages)); !status.ok()) return status;
  for (const Page& page : pages) {
    const std::string name = absl::StrCat("report.", CodeOf(page.language), ".md");
    if (absl::Status status = write(name, Markdown(page)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

int Compare(int argc, const char* const* argv) {
  Options options;
  Flags flags("weft compare",
              "Renders a saved comparison of two servers as a self-contained report.html and its "
              "Markdown twins, report.en.md and report.zh.md.");
  flags.Add("--render", options.render, "The comparison, a JSON file");
  flags.Add("--output", options.output, "Folder that gets the report (default: this one)");
  flags.AddChoice("--lang", options.lang, {"en", "zh", "both"},
                  "Its language; both: one page with a switch, English first");
  if (std::optional<int> exit_code = flags.Parse(argc, argv)) return *exit_code;
  const absl::StatusOr<Comparison> comparison = Load(options.render);
  if (!comparison.ok()) return Fail(comparison.status(), 2);
  const absl::Status status = WriteReport(*comparison, options);
  return status.ok() ? 0 : Fail(status, 1);
}

}  // namespace weft::compare
