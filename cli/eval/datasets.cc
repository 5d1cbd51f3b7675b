#include "cli/eval/datasets.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/eval/embedded.h"
#include "cli/pull/digest.h"
#include "cli/pull/download.h"
#include "common/flags.h"
#include "common/json_fields.h"

namespace weft::eval {
namespace {

// A file that is given.
constexpr int64_t kMaxFileBytes = 1 << 30;

bool IsFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

// Whether the file is the one that it should be.
absl::StatusOr<bool> IsIntact(const std::string& path, const PublicDataset& dataset) {
  std::error_code error;
  if (std::filesystem::file_size(path, error) != static_cast<uintmax_t>(dataset.size)) return false;
  const std::atomic<bool> stop = false;
  const absl::StatusOr<std::string> hash =
      pull::HashFile(path, dataset.size, pull::Digest::Kind::kSha256, stop);
  if (!hash.ok()) return hash.status();
  return *hash == dataset.sha256;
}

absl::Status Fetch(const PublicDataset& dataset, const std::string& path,
                   const std::string& ca_file, const cli::Interrupts& interrupts) {
  std::error_code error;
  std::filesystem::create_directories(DatasetFolder(), error);
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat(DatasetFolder(), ": ", error.message()));
  }
  std::cerr << dataset.about << ", from " << dataset.url << "\nLicence: " << dataset.licence
            << '\n';
  absl::StatusOr<pull::PartialFile> partial =
      pull::PartialFile::Open(path + ".partial", dataset.size);
  if (!partial.ok()) return partial.status();
  const pull::HubFile file = {.name = dataset.name + ".jsonl",
                              .size = dataset.size,
                              .digest = {pull::Digest::Kind::kSha256, dataset.sha256}};
  std::vector<pull::Wanted> wanted;
  wanted.push_back(
      {.file = file, .url = dataset.url, .partial = *std::move(partial), .path = path});
  // No token: it is the hub's, and goes nowhere else.
  const pull::HubSettings settings = {.endpoint = dataset.url.substr(0, dataset.url.find('/', 8)),
                                      .token = {},
                                      .cache = {},
                                      .is_offline = false,
                                      .ca_file = ca_file};
  const pull::ModelReference reference = {.repo = dataset.repo};
  pull::Progress progress;
  const absl::Status status =
      pull::Download(std::move(wanted), settings, reference, interrupts, progress);
  if (status.ok() || absl::IsCancelled(status)) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(),
                                                  "; --dataset FILE.jsonl takes "
                                                  "the file from elsewhere"));
}

absl::StatusOr<Dataset> Read(const std::string& path, Dataset dataset) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<Problem>> problems = ParseProblems(*text, path);
  if (!problems.ok()) return problems.status();
  dataset.problems = *std::move(problems);
  return dataset;
}

absl::Status Unknown(const std::string& name) {
  std::vector<std::string> names = {"weft"};
  for (const PublicDataset& dataset : PublicDatasets()) names.push_back(dataset.name);
  const std::string nearest = NearestName(name, names);
  return absl::NotFoundError(
      absl::StrCat("--dataset ", name, ": no file, and none of ", absl::StrJoin(names, ", "),
                   nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
}

}  // namespace

const std::vector<PublicDataset>& PublicDatasets() {
  static const std::vector<PublicDataset> datasets = {
      {.name = "gsm8k",
       .about = "GSM8K, test set: 1,319 word problems",
       .licence = "MIT (OpenAI)",
       .repo = "openai/grade-school-math",
       .url = "https://raw.githubusercontent.com/openai/grade-school-math/"
              "b52325ad96ea38979fdc222e881ff5d105f95295/grade_school_math/data/test.jsonl",
       .size = 749'738,
       .sha256 = "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"},
      {.name = "math500",
       .about = "MATH-500: 500 competition problems",
       .licence = "MIT (OpenAI's PRM800K; MATH by Hendrycks et al.)",
       .repo = "openai/prm800k",
       .url = "https://media.githubusercontent.com/media/openai/prm800k/"
              "00811d6de065642a6967b9017d4cee59550c0ef4/prm800k/math_splits/test.jsonl",
       .size = 446'564,
       .sha256 = "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132"},
      {.name = "aime24",
       .about = "AIME 2024: 30 competition problems",
       .licence = "problems by the Mathematical Association of America; no licence is stated",
       .repo = "QwenLM/Qwen2.5-Math",
       .url = "https://raw.githubusercontent.com/QwenLM/Qwen2.5-Math/main/evaluation/data/aime24/"
              "test.jsonl",
       .size = 156'944,
       .sha256 = "af2b8bd2aa911b6333ad0df32f3ca05c7ae8ed10f1731f4372c8ae26990bf7ac"}};
  return datasets;
}

std::string DatasetFolder() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, "/weft/datasets");
  return absl::StrCat(home == nullptr ? "" : home, "/.cache/weft/datasets");
}

absl::StatusOr<Dataset> LoadDataset(const std::string& name, const std::string& ca_file,
                                    const cli::Interrupts& interrupts) {
  if (name == "weft") {
    absl::StatusOr<std::vector<Problem>> problems = ParseProblems(kArithmetic, name);
    if (!problems.ok()) return problems.status();
    return Dataset{.name = name, .licence = "Apache-2.0", .problems = *std::move(problems)};
  }
  for (const PublicDataset& dataset : PublicDatasets()) {
    if (dataset.name != name) continue;
    const std::string path = absl::StrCat(DatasetFolder(), "/", name, ".jsonl");
    bool is_there = false;
    if (IsFile(path)) {
      const absl::StatusOr<bool> is_intact = IsIntact(path, dataset);
      if (!is_intact.ok()) return is_intact.status();
      is_there = *is_intact;
    }
    if (!is_there) {
      if (auto s = Fetch(dataset, path, ca_file, interrupts); !s.ok()) return s;
    }
    return Read(path, {.name = name, .licence = dataset.licence, .problems = {}});
  }
  if (!IsFile(name)) return Unknown(name);
  return Read(
      name,
      {.name = std::filesystem::path(name).filename().string(), .licence = {}, .problems = {}});
}

}  // namespace weft::eval
