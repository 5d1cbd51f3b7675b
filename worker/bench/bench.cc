#include "worker/bench/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/flags.h"
#include "common/log.h"
#include "worker/bench/driver.h"
#ifdef WEFT_HAS_CUDA
#include "worker/bench/kernel_table.h"
#endif
#include "worker/bench/nano_workload.h"
#include "worker/rpc/load.h"

namespace weft::worker {
namespace {

struct BenchOptions {
  LoadOptions load;
  std::string batches = "1,8,32,64,128,256";
  std::string prefills = "512,2048,8192";
  int num_in = 1024;
  int num_out = 256;
  int single_in = 512;
  int single_out = 512;
  int repeat = 2;
  bool nano = true;
  bool kernels = false;
  LogOptions log;
};

std::vector<int> ParseSizes(const std::string& list) {
  std::vector<int> sizes;
  for (const auto word : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    int size = 0;
    if (absl::SimpleAtoi(word, &size) && size > 0) sizes.push_back(size);
  }
  return sizes;
}

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

class Bench {
 public:
  Bench(Backend& backend, const BenchOptions& options) : backend_(backend), options_(options) {}

  void Prefill(int num_tokens) {
    if (num_tokens > backend_.limits().max_context_tokens - 1) return;
    std::vector<double> ms;
    for (int i = 0; i < 3 + options_.repeat; ++i) {
      const BenchRun run = RunSequences(backend_, Sequences(1, num_tokens, 1, i));
      if (i >= 2) ms.push_back(run.all.seconds * 1e3);
    }
    std::printf("prefill %6d tokens           %9.2f ms  (%.2f .. %.2f)  %9.0f tokens/s\n",
                num_tokens, Percentile(ms, 0.5), Percentile(ms, 0), Percentile(ms, 1),
                num_tokens / Percentile(ms, 0.5) * 1e3);
    std::fflush(stdout);
  }

  void Decode(int batch, int num_in, int num_out) {
    const BackendLimits& limits = backend_.limits();
    const int64_t tokens = int64_t{batch} * (num_in + num_out + limits.block_tokens);
    if (batch > limits.max_rows || num_in + num_out > limits.max_context_tokens ||
        tokens > int64_t{limits.num_blocks} * limits.block_tokens) {
      std::printf("decode batch %4d, %d in, %d out: beyond this worker's limits\n", batch, num_in,
                  num_out);
      return;
    }
    for (int i = 0; i < options_.repeat; ++i) {
      const BenchRun run = RunSequences(backend_, Sequences(batch, num_in, num_out, i));
      if (run.decode.num_steps == 0) continue;  // too short to time
      std::printf(
          "decode batch %4d, %5d in %5d out %9.0f tokens/s  step p50 %.3f ms, p99 %.3f ms; host "
          "%.1f us a step\n",
          batch, num_in, num_out,
          static_cast<double>(run.decode.num_output_tokens) / run.decode.seconds,
          Percentile(run.step_ms, 0.5), Percentile(run.step_ms, 0.99),
          run.decode.begin_seconds / std::max(1, run.decode.num_steps) * 1e6);
      std::fflush(stdout);
    }
  }

  void Nano() {
    const std::vector<BenchSequence> sequences = NanoVllmWorkload();
    if (backend_.limits().max_rows < static_cast<int>(sequences.size()) ||
        backend_.limits().vocab_size <= 10000 || backend_.limits().max_context_tokens < 2048) {
      return;
    }
    for (int i = 0; i < options_.repeat; ++i) {
      const BenchRun run = RunSequences(backend_, sequences);
      std::printf(
          "nano-vllm bench.py, 256 requests %9.0f output tokens/s  (%lld tokens in %.2f s, %d "
          "steps)\n",
          static_cast<double>(run.all.num_output_tokens) / run.all.seconds,
          static_cast<long long>(run.all.num_output_tokens), run.all.seconds, run.all.num_steps);
      std::fflush(stdout);
    }
  }

 private:
  std::vector<BenchSequence> Sequences(int count, int num_in, int num_out, int salt) {
    std::vector<BenchSequence> sequences;
    for (int i = 0; i < count; ++i) {
      sequences.push_back(
          {.prompt = MadeUpPrompt(num_in, salt * count + i, backend_.limits().vocab_size),
           .num_output_tokens = num_out,
           .sampling = {.temperature = 0}});
    }
    return sequences;
  }

  Backend& backend_;
  const BenchOptions& options_;
};

int PrintKernels(const BenchOptions& options) {
#ifdef WEFT_HAS_CUDA
  const auto config = LoadModelConfig(options.load.model);
  absl::Status printed = config.status();
  if (config.ok()) {
    printed = PrintKernelTable(
        {.config = *config,
         .dtype = options.load.dtype == "float16" ? DType::kFloat16 : DType::kBFloat16,
         .fp8_kv = options.load.kv_cache_dtype == "fp8",
         .batches = ParseSizes(options.batches),
         .prefills = ParseSizes(options.prefills),
         .context = options.num_in,
         .gemm_table_path = GemmTablePath()});
  }
  if (printed.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(printed.message()).c_str());
#else
  (void)options;
  std::fprintf(stderr, "--kernels: this worker was built without CUDA\n");
#endif
  return 1;
}

}  // namespace

int BenchMain(int argc, const char* const* argv) {
  BenchOptions options;
  Flags flags("weft-worker bench", "Times a model's steps, without a scheduler or a network.");
  AddLoadFlags(flags, options.load);
  flags.Add("--batches", options.batches, "Batch sizes to decode with, separated by commas");
  flags.Add("--num-in", options.num_in, "Prompt tokens of each sequence of a batch", 1, 1 << 20);
  flags.Add("--num-out", options.num_out, "Output tokens of each", 2, 1 << 20);
  flags.Add("--single-in", options.single_in, "Prompt tokens of the single stream", 1, 1 << 20);
  flags.Add("--single-out", options.single_out, "Output tokens of the single stream", 2, 1 << 20);
  flags.Add("--prefills", options.prefills, "Prompt lengths to prefill, separated by commas");
  flags.Add("--repeat", options.repeat, "Runs of each measurement", 1, 100);
  flags.AddSwitch("--nano", options.nano, "nano-vllm's bench.py workload: 256 requests");
  flags.AddSwitch("--kernels", options.kernels,
                  "GPU: instead, a table of operations and what they reach, for --batches and "
                  "--prefills");
  AddLogFlags(flags, options.log);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  InitLog("worker", options.log);

  if (options.kernels) return PrintKernels(options);

  Metrics metrics("worker");
  auto backend = LoadBackend(options.load, metrics);
  if (!backend.ok()) {
    std::fprintf(stderr, "%s\n", std::string(backend.status().message()).c_str());
    return 1;
  }
  std::printf("%s on %s\n", ModelName(options.load).c_str(), (*backend)->device().c_str());
  Bench bench(**backend, options);
  for (int num_tokens : ParseSizes(options.prefills)) bench.Prefill(num_tokens);
  bench.Decode(1, options.single_in, options.single_out);
  for (int batch : ParseSizes(options.batches))
    bench.Decode(batch, options.num_in, options.num_out);
  if (options.nano) bench.Nano();
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("most host memory held: %.2f GiB\n",
              static_cast<double>(usage.ru_maxrss) / (1 << 20));
  return 0;
}

}  // namespace weft::worker
