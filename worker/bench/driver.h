// Runs sequences on a backend the way a scheduler does, without one: all admitted at
// once, prompts in chunks within the step's budget, single tokens first, as many steps
// in flight as the backend takes. What a step samples is not looked at: ends are known.
#pragma once

#include <cstdint>
#include <vector>

#include "common/sampling.h"
#include "worker/engine/backend.h"

namespace weft::worker {

struct BenchSequence {
  std::vector<TokenId> prompt;
  int num_output_tokens = 0;
  SamplingParams sampling;
};

// Of all steps, and of those that only decode.
struct BenchTotals {
  int num_steps = 0;
  double seconds = 0;
  int64_t num_output_tokens = 0;
  double begin_seconds = 0;  // the host's work, Begin alone
};

struct BenchRun {
  BenchTotals all;
  // From the first step that holds nothing but single tokens, with every sequence.
  BenchTotals decode;
  std::vector<double> step_ms;  // from answer to answer, decode steps only
};

// Exits with a message if the backend fails: there is nobody to tell.
BenchRun RunSequences(Backend& backend, const std::vector<BenchSequence>& sequences);

// A prompt of made-up ids, different for each `salt`.
std::vector<TokenId> MadeUpPrompt(int num_tokens, int salt, int vocab_size);

}  // namespace weft::worker
