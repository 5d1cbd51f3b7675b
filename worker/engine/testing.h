// For tests of backends: a small scheduler, which makes steps of requests.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "worker/engine/backend.h"

namespace weft::worker::testing {

struct Request {
  std::vector<TokenId> prompt;
  int num_new_tokens = 8;  // the output's length
  SamplingParams sampling = {.temperature = 0};

  std::vector<TokenId> delivered = {};          // the output's beginning, made elsewhere
  int arrival = 0;                              // the step at which it may enter
  int chunk = std::numeric_limits<int>::max();  // its tokens in a step, at most
  // Enters behind the first blocks of the prompt of this one (an index), once they are
  // computed.
  int prefix_of = -1;
  int num_prefix_blocks = 0;
};

struct Output {
  std::vector<TokenId> tokens;          // delivered ones first
  std::vector<TokenLogprobs> logprobs;  // of those made here, if asked for
  PromptLogprobs prompt_logprobs;       // steps' parts, one behind the other
  RowStatus status = RowStatus::kOk;    // not OK: the request ended there

  bool operator==(const Output& other) const;  // to the bit
};

struct Schedule {
  int steps_in_flight = 1;
  int max_rows = std::numeric_limits<int>::max();  // and the backend's
  uint32_t block_seed = 1;                         // blocks are handed out in a random order
};

// The requests' outputs, in their order. Each enters when it may, there is a slot, and
// requests before it have entered; the backend, which must hold no sequence, holds none
// again afterwards.
std::vector<Output> RunRequests(Backend& backend, const std::vector<Request>& requests,
                                const Schedule& schedule = {});

// Ids that look random, all below `vocab_size`.
std::vector<TokenId> MakePrompt(int length, int salt, int vocab_size);

}  // namespace weft::worker::testing
