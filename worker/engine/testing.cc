#include "worker/engine/testing.h"

#include <algorithm>
#include <deque>
#include <random>
#include <utility>

#include "common/check.h"

namespace weft::worker::testing {
namespace {

// A request on its way.
struct Running {
  int slot = -1;
  std::vector<int> blocks;
  int num_computed = 0;   // by the steps begun
  int num_known = 0;      // tokens at entry
  int num_positions = 0;  // to compute in all
  bool has_left = false;
};

class Scheduler {
 public:
  Scheduler(Backend& backend, const std::vector<Request>& requests, const Schedule& schedule)
      : backend_(backend),
        requests_(requests),
        schedule_(schedule),
        running_(requests.size()),
        outputs_(requests.size()),
        block_users_(backend.limits().num_blocks, 0) {
    for (int slot = backend.limits().max_rows; slot-- > 0;) free_slots_.push_back(slot);
    for (int i = 0; i < backend.limits().num_blocks; ++i) free_blocks_.push_back(i);
    std::shuffle(free_blocks_.begin(), free_blocks_.end(), std::mt19937(schedule.block_seed));
  }

  std::vector<Output> Run() {
    while (num_left_ < requests_.size() || !released_.empty() || !in_flight_.empty()) {
      if (num_left_ < requests_.size() || !released_.empty()) Begin();
      if (static_cast<int>(in_flight_.size()) == schedule_.steps_in_flight ||
          num_left_ == requests_.size()) {
        Await();
      }
    }
    return std::move(outputs_);
  }

 private:
  void Begin() {
    StepCommand command = {.step_id = step_++, .released_slots = std::exchange(released_, {})};
    free_slots_.insert(free_slots_.end(), command.released_slots.begin(),
                       command.released_slots.end());
    while (num_entered_ < requests_.size() && MayEnter(num_entered_)) {
      command.entries.push_back(Enter(num_entered_++));
    }
    StepInFlight step;
    int budget = backend_.limits().max_step_tokens;
    for (size_t i = 0; i < num_entered_; ++i) {
      if (running_[i].has_left || budget == 0) continue;
      const bool samples = AddRow(i, budget, command);
      step.requests.push_back(samples ? static_cast<int>(i) : -1);
      step.all_requests.push_back(static_cast<int>(i));
    }
    for (size_t i = 0; i < num_entered_; ++i) {
      if (!running_[i].has_left && running_[i].num_computed == running_[i].num_positions) Leave(i);
    }
    const absl::Status begun = backend_.Begin(command);
    WEFT_CHECK(begun.ok());
    in_flight_.push_back(step);
  }

  bool MayEnter(size_t i) const {
    const Request& request = requests_[i];
    if (static_cast<int>(step_) <= request.arrival || free_slots_.empty()) return false;
    const int num_rows = static_cast<int>(num_entered_ - num_left_);
    if (num_rows >= std::min(schedule_.max_rows, backend_.limits().max_rows)) return false;
    return request.prefix_of < 0 || running_[request.prefix_of].num_computed >=
                                        request.num_prefix_blocks * backend_.limits().block_tokens;
  }

  SlotEntry Enter(size_t i) {
    const Request& request = requests_[i];
    Running& running = running_[i];
    SlotEntry entry = {.slot = free_slots_.back(),
                       .tokens = request.prompt,
                       .num_prompt_tokens = static_cast<int>(request.prompt.size()),
                       .sampling = request.sampling};
    free_slots_.pop_back();
    entry.tokens.insert(entry.tokens.end(), request.delivered.begin(), request.delivered.end());
    if (request.prefix_of >= 0) {
      // The blocks outlive their first user: nobody gives them back while this runs.
      const std::vector<int>& blocks = running_[request.prefix_of].blocks;
      WEFT_CHECK(request.num_prefix_blocks <= static_cast<int>(blocks.size()));
      entry.blocks.assign(blocks.begin(), blocks.begin() + request.num_prefix_blocks);
      entry.num_computed_tokens = request.num_prefix_blocks * backend_.limits().block_tokens;
      for (int block : entry.blocks) ++block_users_[block];
    }
    outputs_[i].tokens = request.delivered;
    running = {.slot = entry.slot,
               .blocks = entry.blocks,
               .num_computed = entry.num_computed_tokens,
               .num_known = static_cast<int>(entry.tokens.size()),
               .num_positions = entry.num_prompt_tokens + request.num_new_tokens - 1};
    return entry;
  }

  // Whether the row samples.
  bool AddRow(size_t i, int& budget, StepCommand& command) {
    Running& running = running_[i];
    StepRow row = {.slot = running.slot};
    row.num_tokens = std::min(
        {std::max(running.num_known - running.num_computed, 1), requests_[i].chunk, budget});
    budget -= row.num_tokens;
    running.num_computed += row.num_tokens;
    const int block_tokens = backend_.limits().block_tokens;
    while (static_cast<int>(running.blocks.size()) * block_tokens < running.num_computed) {
      WEFT_CHECK(!free_blocks_.empty());
      const int block = free_blocks_.front();
      free_blocks_.pop_front();
      ++block_users_[block];
      running.blocks.push_back(block);
      row.new_blocks.push_back(block);
    }
    command.rows.push_back(row);
    return running.num_computed >= running.num_known;
  }

  void Leave(size_t i) {
    running_[i].has_left = true;
    ++num_left_;
    released_.push_back(running_[i].slot);
    const bool is_shared = std::any_of(requests_.begin(), requests_.end(), [&](const Request& r) {
      return r.prefix_of == static_cast<int>(i);
    });
    if (is_shared) return;
    for (int block : running_[i].blocks) {
      if (--block_users_[block] == 0) free_blocks_.push_back(block);
    }
  }

  static void Append(const PromptLogprobs& part, PromptLogprobs& whole) {
    if (whole.size() == 0) whole.first_position = part.first_position;
    WEFT_CHECK(part.first_position == whole.first_position + whole.size());
    whole.num_top = part.num_top;
    const auto append = [](const auto& from, auto& to) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(part.logprobs, whole.logprobs);
    append(part.ranks, whole.ranks);
    append(part.top_tokens, whole.top_tokens);
    append(part.top_logprobs, whole.top_logprobs);
  }

  void Await() {
    const absl::StatusOr<StepResult> result = backend_.Await();
    WEFT_CHECK(result.ok());
    const StepInFlight step = in_flight_.front();
    in_flight_.pop_front();
    WEFT_CHECK(result->rows.size() == step.requests.size());
    for (size_t r = 0; r < step.requests.size(); ++r) {
      const RowResult& row = result->rows[r];
      WEFT_CHECK(step.requests[r] >= 0 || row.tokens.empty());
      if (row.prompt_logprobs.size() > 0) {
        Append(row.prompt_logprobs, outputs_[step.all_requests[r]].prompt_logprobs);
      }
      if (step.requests[r] < 0) continue;
      Output& output = outputs_[step.requests[r]];
      if (output.status != RowStatus::kOk) continue;
      output.status = row.status;
      output.tokens.insert(output.tokens.end(), row.tokens.begin(), row.tokens.end());
      output.logprobs.insert(output.logprobs.end(), row.logprobs.begin(), row.logprobs.end());
      if (row.status != RowStatus::kOk && !running_[step.requests[r]].has_left) {
        Leave(step.requests[r]);
      }
    }
  }

  struct StepInFlight {
    std::vector<int> requests;      // by row; -1: it samples nothing
    std::vector<int> all_requests;  // by row
  };

  Backend& backend_;
  const std::vector<Request>& requests_;
  const Schedule schedule_;
  std::vector<Running> running_;  // by request, as all below
  std::vector<Output> outputs_;
  std::vector<int> block_users_;
  std::deque<int> free_blocks_;
  std::vector<int> free_slots_;
  std::vector<int> released_;  // slots, with the next step
  std::deque<StepInFlight> in_flight_;
  uint64_t step_ = 0;
  size_t num_entered_ = 0;
  size_t num_left_ = 0;
};

}  // namespace

bool Output::operator==(const Output& other) const {
  return tokens == other.tokens && status == other.status &&
         prompt_logprobs == other.prompt_logprobs &&
         std::equal(logprobs.begin(), logprobs.end(), other.logprobs.begin(), other.logprobs.end(),
                    [](const TokenLogprobs& a, const TokenLogprobs& b) {
                      return a.logprob == b.logprob && a.top_tokens == b.top_tokens &&
                             a.top_logprobs == b.top_logprobs;
                    });
}

std::vector<Output> RunRequests(Backend& backend, const std::vector<Request>& requests,
                                const Schedule& schedule) {
  return Scheduler(backend, requests, schedule).Run();
}

std::vector<TokenId> MakePrompt(int length, int salt, int vocab_size) {
  std::mt19937 random(salt);
  std::vector<TokenId> ids(length);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % vocab_size);
  return ids;
}

}  // namespace weft::worker::testing
