// What happens to the core, and what it answers. Who applies an event gets its
// consequences in the same call, appended to an Outputs.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "common/trace_context.h"
#include "scheduler/core/types.h"

namespace weft::core {

inline constexpr Micros kNever = std::numeric_limits<Micros>::max();

// ---- in: from gateways ----

struct Submit {
  SequenceId id = 0;
  std::string tenant;
  std::vector<TokenId> prompt;
  // On resumption: output that the client already has. The sequence goes on
  // behind it, with the seed and limits it had.
  std::vector<TokenId> delivered;
  SamplingParams sampling;
  int max_tokens = 0;        // output, delivered ones included
  Micros deadline = kNever;  // on the clock of `now`
  int priority = 0;          // smaller goes first
  std::string cache_salt;    // prefixes are shared only under equal tenant and salt
  SpanContext trace;         // handed on to the worker and to Finished, unread
};

// A stop string ended it: the client keeps `num_tokens` of its output.
struct Conclude {
  SequenceId id = 0;
  int num_tokens = 0;
};

struct Cancel {
  SequenceId id = 0;
};

// ---- in: from workers ----

struct WorkerLimits {
  int num_blocks = 0;
  int block_tokens = kBlockTokens;
  int max_rows = 0;  // also the number of slots, 0 .. max_rows - 1
  int max_step_tokens = 0;
  int max_steps_in_flight = 1;
  int max_context_tokens = 0;
  int vocab_size = 0;
};

struct WorkerJoined {
  WorkerId worker = 0;
  WorkerLimits limits;
};

// It gets no further step; its sequences move on once what they are owed has
// come. WorkerLost follows when its stream ends.
struct WorkerDraining {
  WorkerId worker = 0;
};

// Its stream broke, it was silent for too long, it reported a fault, or it sent
// what makes no sense. Everything in flight there is forgotten; what a sequence
// has been delivered is not.
struct WorkerLost {
  WorkerId worker = 0;
};

enum class RowStatus { kOk, kNonFinite, kError, kGrammar };

struct RowResult {
  RowStatus status = RowStatus::kOk;
  int num_tokens = 0;
};

struct StepDone {
  WorkerId worker = 0;
  uint64_t step_id = 0;
  std::span<const RowResult> rows;  // by position in the step
  std::span<const TokenId> tokens;  // rows' tokens one after another
  Micros took = 0;                  // on the device; 0: unknown
};

// Time has passed: ends what is past its deadline.
struct Tick {};

// ---- out ----

// New output of one sequence. Indexes of a sequence are contiguous over its
// whole life, whatever it was preempted by or moved to. A token that ends the
// sequence (a stop id) is delivered like any other, as the last one.
struct TokensOut {
  SequenceId id = 0;
  int first_index = 0;  // output index of the first of them
  int first_token = 0;  // where they start in Outputs::token_ids
  int num_tokens = 0;
  // The row of the applied StepDone that they are the first tokens of: the
  // caller finds their logprobs by it.
  int row = 0;
};

// The row of the applied StepDone computed prompt tokens of a sequence that asked for
// its prompt's logprobs: the caller finds them by it. Before the sequence's first
// token, each position of its prompt was in at least one such row.
struct PromptRowOut {
  SequenceId id = 0;
  int row = 0;
};

enum class FinishReason { kStop, kLength, kCancelled, kTimeout, kError };

// When a sequence got where; kNever: it did not.
struct SequenceTimes {
  Micros queued = kNever;
  Micros first_scheduled = kNever;
  Micros first_token = kNever;
  Micros finished = kNever;
};

struct Finished {
  SequenceId id = 0;
  FinishReason reason = FinishReason::kStop;
  TokenId stop_token = -1;  // kStop: the id that ended it; -1 after Conclude
  std::string message;      // kError: for the client
  int num_prompt_tokens = 0;
  int num_cached_tokens = 0;  // of the prompt, taken from the prefix cache
  int num_output_tokens = 0;  // delivered ones included; after Conclude those kept
  int num_preemptions = 0;
  SequenceTimes times;
  SpanContext trace;
};

enum class RejectCode { kInvalid, kQueueFull, kQuota, kNoWorker };

// Never accepted: no Finished follows.
struct Rejected {
  SequenceId id = 0;
  RejectCode code = RejectCode::kInvalid;
  std::string message;
  Micros retry_after = 0;  // 0: repeating will not help
};

// A buffer that the caller keeps: Apply only appends.
struct Outputs {
  std::vector<TokensOut> tokens;
  std::vector<TokenId> token_ids;
  std::vector<PromptRowOut> prompt_rows;  // before the sequence's tokens
  std::vector<Finished> finished;         // a sequence's tokens come before its end
  std::vector<Rejected> rejected;

  std::span<const TokenId> Ids(const TokensOut& out) const {
    return std::span(token_ids).subspan(out.first_token, out.num_tokens);
  }
  void Clear() {
    tokens.clear();
    token_ids.clear();
    prompt_rows.clear();
    finished.clear();
    rejected.clear();
  }
};

}  // namespace weft::core
