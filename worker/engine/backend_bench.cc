// How fast a model's steps are, without any process around them:
//
//   weft-worker-bench MODEL_DIR [dtype] [auto|dummy] [threads]
//
// prints one line a measurement: prefill of 512 tokens, then decode steps of some
// batch sizes behind a short context, each the median of several steps.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "worker/engine/model_backend.h"

namespace weft::worker {
namespace {

constexpr int kPromptTokens = 512;
constexpr int kContext = 128;  // behind decode steps
constexpr int kSteps = 12;

double Seconds(Backend& backend, const StepCommand& command) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = backend.Execute(command);
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    std::exit(1);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

SlotEntry Sequence(const Backend& backend, int slot, int num_tokens, float temperature) {
  const int block_tokens = backend.limits().block_tokens;
  const int num_blocks = (num_tokens + kSteps + 1) / block_tokens + 1;
  SlotEntry entry = {.slot = slot, .num_prompt_tokens = num_tokens};
  for (int i = 0; i < num_tokens; ++i) {
    entry.tokens.push_back((7919 * (i + 1) + slot) % backend.limits().vocab_size);
  }
  for (int i = 0; i < num_blocks; ++i) entry.blocks.push_back(slot * num_blocks + i);
  entry.sampling.temperature = temperature;
  return entry;
}

void BenchPrefill(Backend& backend) {
  std::vector<double> seconds;
  for (int i = 0; i < 3; ++i) {
    backend.Reset();
    StepCommand command;
    command.entries = {Sequence(backend, 0, kPromptTokens, 0)};
    command.rows = {{.slot = 0, .num_tokens = kPromptTokens}};
    seconds.push_back(Seconds(backend, command));
  }
  std::printf("prefill %d: %.3f s, %.0f tokens/s\n", kPromptTokens, Median(seconds),
              kPromptTokens / Median(seconds));
}

void BenchDecode(Backend& backend, int batch, float temperature) {
  backend.Reset();
  for (int slot = 0; slot < batch; ++slot) {
    StepCommand prompt;
    prompt.entries = {Sequence(backend, slot, kContext, temperature)};
    prompt.rows = {{.slot = slot, .num_tokens = kContext}};
    Seconds(backend, prompt);
  }
  StepCommand step;
  for (int slot = 0; slot < batch; ++slot) step.rows.push_back({.slot = slot, .num_tokens = 1});
  std::vector<double> seconds;
  for (int i = 0; i < kSteps; ++i) seconds.push_back(Seconds(backend, step));
  std::printf("decode %2d rows, temperature %g: %.1f ms a step, %.1f tokens/s\n", batch,
              temperature, Median(seconds) * 1e3, batch / Median(seconds));
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL_DIR [dtype] [auto|dummy] [threads]\n", argv[0]);
    return 2;
  }
  ModelBackendOptions options = {.model_dir = argv[1]};
  if (argc > 2) options.dtype = argv[2];
  if (argc > 3) options.load_format = argv[3];
  if (argc > 4) options.num_threads = std::atoi(argv[4]);
  LoadFacts facts;
  auto backend = MakeModelBackend(options, &facts);
  if (!backend.ok()) {
    std::fprintf(stderr, "%s\n", backend.status().ToString().c_str());
    return 1;
  }
  std::printf(
      "%s (%s), %s, %.2f B parameters, weights %.2f GiB, KV %d blocks; loaded in %.1f s\n",
      facts.device.c_str(), facts.device_details.c_str(), facts.dtype.c_str(),
      static_cast<double>(facts.num_parameters) * 1e-9,
      static_cast<double>(facts.weight_bytes) / (1 << 30), facts.num_blocks,
      facts.files_seconds + facts.weights_seconds + facts.kv_seconds + facts.canary_seconds);
  BenchDecode(**backend, 1, 0);
  BenchDecode(**backend, 1, 0.6f);
  BenchDecode(**backend, 8, 0);
  BenchPrefill(**backend);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("most memory held: %.2f GiB\n", static_cast<double>(usage.ru_maxrss) / (1 << 20));
  return 0;
}

}  // namespace
}  // namespace weft::worker

int main(int argc, char** argv) { return weft::worker::Main(argc, argv); }
