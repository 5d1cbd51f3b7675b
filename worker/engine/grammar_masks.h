// Grammars of the sequences in slots: which tokens each may sample next, computed on
// threads of their own while the device runs.
//
// Beginning a step asks for the mask of every row that samples under a grammar; awaiting
// it tells what was sampled. A mask needs all tokens before it, so the second of two
// steps in flight gets its mask when the first one's token has come. No order of calls
// makes a mask wait for a later step.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sampling.h"
#include "text/grammar.h"
#include "worker/engine/backend.h"

namespace weft::worker {

// Bits of a mask: bit i % 32 of word i / 32 allows id i.
constexpr int MaskWords(int vocab_size) { return (vocab_size + 31) / 32; }

// Where a mask goes, and how its reader, perhaps a kernel, learns that it is there:
// *ready becomes `value`.
struct MaskTarget {
  std::span<uint32_t> words;
  uint64_t* ready = nullptr;
  uint64_t value = 0;
};

class GrammarPool;

// One sequence on its way through its grammar. Until the token that closes its reasoning
// everything is allowed but the end.
//
// Thread safety: Want by the thread that begins steps, Sampled by the one that awaits
// them; the rest by any.
class GrammarFollower : public std::enable_shared_from_this<GrammarFollower> {
 public:
  GrammarFollower(GrammarPool& pool, const SamplingParams& sampling,
                  std::span<const TokenId> output);

  // The mask of the sequence's next sample. Once a sample; the target stays until it is
  // ready.
  void Want(MaskTarget target);
  // What the oldest sample without an answer was; nothing: it failed, and so has the
  // sequence.
  void Sampled(std::optional<TokenId> token);
  // Nobody needs it any more: whatever is wanted is ready at once, and means nothing.
  void Abandon();

  // It could not be followed: compiling it, or a mask, took more than is allowed. Its
  // masks allow everything; what is sampled under them is worth nothing.
  bool failed() const { return failed_; }

 private:
  friend class GrammarPool;
  void Run();  // on the pool; one thread at a time
  void Compile();
  void Consume(TokenId token);
  void Fill(std::span<uint32_t> words);
  void AllowAllButEnd(std::span<uint32_t> words) const;

  GrammarPool& pool_;
  const Grammar grammar_;
  const std::vector<TokenId> stop_token_ids_;

  // Run's alone.
  std::vector<TokenId> output_;  // to be replayed; then empty
  std::optional<text::GrammarPosition> position_;
  bool is_open_ = false;    // behind after_token
  bool has_ended_ = false;  // a stop token was sampled
  std::atomic<bool> failed_{false};

  std::mutex fill_mutex_;  // held while a target is written
  std::mutex mutex_;       // guards what follows
  std::deque<TokenId> sampled_;
  std::deque<MaskTarget> wanted_;
  uint64_t num_filled_ = 0;
  uint64_t num_answered_ = 0;  // samples
  bool is_queued_ = false;
};

// The threads, and the compiler they share.
class GrammarPool {
 public:
  // Loads the tokenizer of `model_dir` in the background.
  GrammarPool(std::string model_dir, int num_threads);
  ~GrammarPool();

  void Run(std::shared_ptr<GrammarFollower> follower);
  // Waits until the tokenizer is there.
  absl::StatusOr<text::GrammarPosition> Compile(const Grammar& grammar);

 private:
  void Work();

  std::shared_future<absl::StatusOr<std::shared_ptr<text::GrammarCompiler>>> compiler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<GrammarFollower>> queue_;
  bool is_ending_ = false;
  std::vector<std::thread> threads_;
};

// The followers, by slot.
class GrammarMasks {
 public:
  GrammarMasks(std::string model_dir, int num_slots, int num_threads)
      : pool_(std::move(model_dir), num_threads), by_slot_(num_slots) {}
  ~GrammarMasks() { Reset(); }

  // What the step releases and enters.
  void Enter(const StepCommand& command);
  // Null: the slot's sequence has no grammar. Shared: a step in flight may outlive the
  // sequence's stay.
  const std::shared_ptr<GrammarFollower>& of(int slot) const { return by_slot_[slot]; }
  void Reset();

 private:
  GrammarPool pool_;
  std::vector<std::shared_ptr<GrammarFollower>> by_slot_;
};

// Blocks until the target is ready.
void WaitUntilReady(const MaskTarget& target);

}  // namespace weft::worker
