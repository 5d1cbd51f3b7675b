#include "worker/ops/cuda/gemm_table.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace weft::worker::ops::cuda {
namespace {

constexpr const char* kFormat = "weft gemm table 1";
constexpr int kAlgoWords = sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t);
constexpr size_t kMaxFileBytes = 16 << 20;

constexpr DType kTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

std::optional<DType> TypeNamed(const std::string& name) {
  for (DType dtype : kTypes) {
    if (name == NameOf(dtype)) return dtype;
  }
  return std::nullopt;
}

uint64_t Checksum(const std::string& text) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

std::string ChecksumLine(const std::string& text) {
  return absl::StrCat("checksum ", absl::Hex(Checksum(text), absl::kZeroPad16), "\n");
}

std::string LineOf(const Gemm& gemm, const GemmChoice& choice) {
  std::string line = absl::StrCat(NameOf(gemm.dtype), " ", NameOf(gemm.out_dtype), " ", gemm.n, " ",
                                  gemm.k, " ", int{gemm.has_bias}, " ", int{gemm.accumulate}, " ");
  absl::StrAppend(&line, gemm.m, " ", choice.workspace_bytes, " ", choice.num_candidates, " ",
                  choice.microseconds, " ", choice.default_microseconds);
  for (uint64_t word : choice.algo.data) absl::StrAppend(&line, " ", absl::Hex(word));
  return line + "\n";
}

bool ParseLine(const std::string& line, GemmTable& table) {
  std::istringstream in(line);
  std::string dtype, out_dtype;
  Gemm gemm;
  GemmChoice choice;
  in >> dtype >> out_dtype >> gemm.n >> gemm.k >> gemm.has_bias >> gemm.accumulate >> gemm.m >>
      choice.workspace_bytes >> choice.num_candidates >> choice.microseconds >>
      choice.default_microseconds >> std::hex;
  for (int i = 0; i < kAlgoWords; ++i) in >> choice.algo.data[i];
  const auto type = TypeNamed(dtype), out_type = TypeNamed(out_dtype);
  if (!in || !type || !out_type) return false;
  gemm.dtype = *type;
  gemm.out_dtype = *out_type;
  table[gemm] = choice;
  return true;
}

}  // namespace

GemmTable ReadGemmTable(const std::string& path, const std::string& identity) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file || text.size() > kMaxFileBytes) return {};
  const size_t end = text.rfind("checksum ");
  if (end == std::string::npos || text.substr(end) != ChecksumLine(text.substr(0, end))) return {};
  std::istringstream lines(text.substr(0, end));
  std::string line;
  if (!std::getline(lines, line) || line != kFormat) return {};
  if (!std::getline(lines, line) || line != identity) return {};
  GemmTable table;
  while (std::getline(lines, line)) {
    if (!ParseLine(line, table)) return {};
  }
  return table;
}

absl::Status WriteGemmTable(const std::string& path, const std::string& identity,
                            const GemmTable& table) {
  std::string text = absl::StrCat(kFormat, "\n", identity, "\n");
  for (const auto& [gemm, choice] : table) text += LineOf(gemm, choice);
  text += ChecksumLine(text);

  const std::filesystem::path target(path);
  std::error_code error;
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path(), error);
  // Of this process alone: two that start together both write a whole file.
  const std::string draft = absl::StrCat(path, ".", ::getpid());
  std::ofstream file(draft, std::ios::binary);
  file << text;
  file.close();
  if (file.good()) std::filesystem::rename(draft, target, error);
  if (!file.good() || error) {
    std::error_code ignored;
    std::filesystem::remove(draft, ignored);
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  }
  return absl::OkStatus();
}

}  // namespace weft::worker::ops::cuda
