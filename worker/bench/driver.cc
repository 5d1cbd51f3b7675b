#include "worker/bench/driver.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <utility>

namespace weft::worker {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "the backend failed: %s\n", status.ToString().c_str());
  std::exit(1);
}

struct Running {
  const BenchSequence* sequence = nullptr;
  int slot = 0;
  int num_computed = 0;
  int num_sampled = 0;  // owed ones included
  int num_blocks = 0;

  int num_prompt() const { return static_cast<int>(sequence->prompt.size()); }
  int num_left() const { return num_prompt() + num_sampled - num_computed; }
  bool is_done() const { return num_sampled == sequence->num_output_tokens; }
};

// What a step in flight will have done.
struct Planned {
  int num_sampled = 0;
  bool decodes_all = false;  // single tokens, every sequence
};

class Driver {
 public:
  Driver(Backend& backend, const std::vector<BenchSequence>& sequences)
      : backend_(backend), limits_(backend.limits()) {
    for (int block = limits_.num_blocks - 1; block >= 0; --block) free_blocks_.push_back(block);
    for (int slot = limits_.max_rows - 1; slot >= 0; --slot) free_slots_.push_back(slot);
    for (const BenchSequence& sequence : sequences) waiting_.push_back({.sequence = &sequence});
    num_sequences_ = waiting_.size();
  }

  BenchRun Run() {
    backend_.Reset();
    const Clock::time_point started = Clock::now();
    last_answer_ = started;
    while (true) {
      StepCommand command;
      const Planned planned = Plan(command);
      if (command.rows.empty()) break;
      if (static_cast<int>(in_flight_.size()) == limits_.max_steps_in_flight) AwaitOne();
      const Clock::time_point begun = Clock::now();
      if (auto s = backend_.Begin(command); !s.ok()) Fail(s);
      const double seconds = SecondsBetween(begun, Clock::now());
      run_.all.begin_seconds += seconds;
      if (planned.decodes_all) run_.decode.begin_seconds += seconds;
      in_flight_.push_back(planned);
    }
    while (!in_flight_.empty()) AwaitOne();
    run_.all.seconds = SecondsBetween(started, Clock::now());
    return run_;
  }

 private:
  Planned Plan(StepCommand& command) {
    Planned planned;
    command.step_id = ++step_id_;
    command.released_slots.swap(released_);
    int budget = limits_.max_step_tokens;
    while (!waiting_.empty() && !free_slots_.empty()) {
      Running running = waiting_.front();
      waiting_.pop_front();
      running.slot = free_slots_.back();
      free_slots_.pop_back();
      command.entries.push_back({.slot = running.slot,
                                 .tokens = running.sequence->prompt,
                                 .num_prompt_tokens = running.num_prompt(),
                                 .sampling = running.sequence->sampling});
      running_.push_back(running);
    }
    planned.decodes_all = running_.size() == num_sequences_;
    for (Running& running : running_) {
      if (running.num_left() == 1) budget -= AddRow(running, 1, command, planned);
    }
    for (Running& running : running_) {
      if (running.num_left() <= 1 || budget == 0 || HasRow(running, command)) continue;
      planned.decodes_all = false;
      budget -= AddRow(running, std::min(budget, running.num_left()), command, planned);
    }
    Retire();
    return planned;
  }

  bool HasRow(const Running& running, const StepCommand& command) const {
    return std::any_of(command.rows.begin(), command.rows.end(),
                       [&](const StepRow& row) { return row.slot == running.slot; });
  }

  int AddRow(Running& running, int num_tokens, StepCommand& command, Planned& planned) {
    StepRow row = {.slot = running.slot, .num_tokens = num_tokens};
    running.num_computed += num_tokens;
    const int needed = (running.num_computed + limits_.block_tokens - 1) / limits_.block_tokens;
    for (; running.num_blocks < needed; ++running.num_blocks) {
      if (free_blocks_.empty()) Fail(absl::ResourceExhaustedError("the KV pool is too small"));
      row.new_blocks.push_back(free_blocks_.back());
      free_blocks_.pop_back();
      blocks_of_[running.slot].push_back(row.new_blocks.back());
    }
    if (running.num_left() == 0) {
      ++running.num_sampled;
      ++planned.num_sampled;
    }
    command.rows.push_back(std::move(row));
    return num_tokens;
  }

  // Sequences whose last token is in flight leave with the next step.
  void Retire() {
    for (const Running& running : running_) {
      if (!running.is_done()) continue;
      released_.push_back(running.slot);
      free_slots_.push_back(running.slot);
      std::vector<int>& blocks = blocks_of_[running.slot];
      free_blocks_.insert(free_blocks_.end(), blocks.begin(), blocks.end());
      blocks.clear();
    }
    std::erase_if(running_, [](const Running& running) { return running.is_done(); });
  }

  void AwaitOne() {
    const auto result = backend_.Await();
    if (!result.ok()) Fail(result.status());
    const Clock::time_point now = Clock::now();
    const Planned planned = in_flight_.front();
    in_flight_.pop_front();
    const auto count = [&](BenchTotals& totals) {
      ++totals.num_steps;
      totals.num_output_tokens += planned.num_sampled;
    };
    count(run_.all);
    if (planned.decodes_all && was_decoding_) {
      count(run_.decode);
      const double seconds = SecondsBetween(last_answer_, now);
      run_.decode.seconds += seconds;
      run_.step_ms.push_back(seconds * 1e3);
    }
    was_decoding_ = planned.decodes_all;
    last_answer_ = now;
  }

  Backend& backend_;
  const BackendLimits& limits_;
  size_t num_sequences_ = 0;
  uint64_t step_id_ = 0;
  std::deque<Running> waiting_;
  std::vector<Running> running_;
  std::vector<int> free_blocks_, free_slots_, released_;
  std::map<int, std::vector<int>> blocks_of_;  // by slot
  std::deque<Planned> in_flight_;
  Clock::time_point last_answer_;
  bool was_decoding_ = false;
  BenchRun run_;
};

}  // namespace

BenchRun RunSequences(Backend& backend, const std::vector<BenchSequence>& sequences) {
  return Driver(backend, sequences).Run();
}

std::vector<TokenId> MadeUpPrompt(int num_tokens, int salt, int vocab_size) {
  std::vector<TokenId> ids(num_tokens);
  for (int i = 0; i < num_tokens; ++i) {
    ids[i] = static_cast<TokenId>((int64_t{7919} * (i + 1) + int64_t{104729} * salt) % vocab_size);
  }
  return ids;
}

}  // namespace weft::worker
