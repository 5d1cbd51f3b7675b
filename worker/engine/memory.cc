#include "worker/engine/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "worker/ops/batch.h"

namespace weft::worker {
namespace {

// The number behind `key` in a file of "key  number" lines; with an empty key the
// file's first word. Nothing if there is none ("max").
std::optional<int64_t> ReadNumber(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word, number;
  int64_t value;
  if (key.empty()) {
    if (file >> number && absl::SimpleAtoi(number, &value)) return value;
    return std::nullopt;
  }
  while (file >> word) {
    if (word == key && file >> number && absl::SimpleAtoi(number, &value)) return value;
  }
  return std::nullopt;
}

void ApplyLimit(const std::string& limit_file, const std::string& used_file,
                const std::string& stat_file, const std::string& cache_key, HostMemory& memory) {
  const auto limit = ReadNumber(limit_file, "");
  const auto used = ReadNumber(used_file, "");
  if (!limit || !used || *limit >= memory.total_bytes) return;
  const int64_t cache = ReadNumber(stat_file, cache_key).value_or(0);  // given up on demand
  memory.total_bytes = *limit;
  memory.available_bytes =
      std::min(memory.available_bytes, std::max<int64_t>(0, *limit - *used + cache));
}

std::string Gib(int64_t bytes) {
  return absl::StrCat(static_cast<double>(bytes * 100 >> 30) / 100, " GiB");
}

}  // namespace

absl::StatusOr<HostMemory> ReadHostMemory() {
  const auto total = ReadNumber("/proc/meminfo", "MemTotal:");
  const auto available = ReadNumber("/proc/meminfo", "MemAvailable:");
  if (!total || !available) return absl::UnavailableError("/proc/meminfo cannot be read");
  HostMemory memory = {.total_bytes = *total * 1024, .available_bytes = *available * 1024};
  const std::string v2 = "/sys/fs/cgroup/", v1 = "/sys/fs/cgroup/memory/";
  ApplyLimit(v2 + "memory.max", v2 + "memory.current", v2 + "memory.stat", "inactive_file", memory);
  ApplyLimit(v1 + "memory.limit_in_bytes", v1 + "memory.usage_in_bytes", v1 + "memory.stat",
             "total_inactive_file", memory);
  return memory;
}

absl::StatusOr<KvPlan> PlanKv(const KvRequest& r) {
  if (r.max_model_len > r.model_context) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max-model-len ", r.max_model_len, " is beyond the model's context of ",
                     r.model_context, " tokens (max_position_embeddings)"));
  }
  const int wanted_context = r.max_model_len > 0 ? r.max_model_len : r.model_context;
  const auto blocks_for = [](int64_t tokens) {
    return (tokens + ops::kBlockTokens - 1) / ops::kBlockTokens;
  };
  int64_t bytes = r.bytes;
  if (bytes == 0) {
    bytes = std::max<int64_t>(r.spare_bytes, 0);
    if (r.max_automatic_bytes > 0) bytes = std::min(bytes, r.max_automatic_bytes);
  }
  int64_t blocks = bytes / r.bytes_per_block;
  if (r.bytes == 0) blocks = std::min(blocks, blocks_for(wanted_context) * r.max_num_seqs);
  blocks = std::min<int64_t>(blocks, std::numeric_limits<int32_t>::max() / ops::kBlockTokens);

  const int64_t needed = r.max_model_len > 0 ? blocks_for(r.max_model_len) : 1;
  if (blocks < needed) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the KV pool of ", Gib(bytes), " holds ", blocks * ops::kBlockTokens,
        " tokens, less than one sequence of ", needed * ops::kBlockTokens, "; that takes ",
        Gib(needed * r.bytes_per_block), ": free memory or lower --max-model-len"));
  }
  return KvPlan{.num_blocks = static_cast<int>(blocks),
                .max_context_tokens = static_cast<int>(
                    std::min<int64_t>(wanted_context, blocks * ops::kBlockTokens))};
}

}  // namespace weft::worker
