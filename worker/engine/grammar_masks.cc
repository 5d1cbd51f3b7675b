#include "worker/engine/grammar_masks.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer.h"

namespace weft::worker {
namespace {

void SetBit(std::span<uint32_t> words, TokenId id, bool value) {
  uint32_t& word = words[id / 32];
  const uint32_t bit = uint32_t{1} << id % 32;
  word = value ? word | bit : word & ~bit;
}

void TellReady(const MaskTarget& target) {
  const std::atomic_ref<uint64_t> ready(*target.ready);
  ready.store(target.value, std::memory_order_release);
  ready.notify_all();
}

}  // namespace

void WaitUntilReady(const MaskTarget& target) {
  const std::atomic_ref<uint64_t> ready(*target.ready);
  for (uint64_t now; (now = ready.load(std::memory_order_acquire)) != target.value;) {
    ready.wait(now, std::memory_order_acquire);
  }
}

// ---- GrammarFollower ----

GrammarFollower::GrammarFollower(GrammarPool& pool, const SamplingParams& sampling,
                                 std::span<const TokenId> output)
    : pool_(pool),
      grammar_(*sampling.grammar),
      stop_token_ids_(sampling.stop_token_ids),
      output_(output.begin(), output.end()),
      is_open_(!grammar_.after_token) {}

void GrammarFollower::Want(MaskTarget target) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.push_back(target);
    if (std::exchange(is_queued_, true)) return;
  }
  pool_.Run(shared_from_this());
}

void GrammarFollower::Sampled(std::optional<TokenId> token) {
  if (!token) failed_ = true;
  {
    const std::lock_guard lock(mutex_);
    ++num_answered_;
    if (token) sampled_.push_back(*token);
    if (std::exchange(is_queued_, true)) return;
  }
  pool_.Run(shared_from_this());
}

void GrammarFollower::Abandon() {
  failed_ = true;
  std::deque<MaskTarget> wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted.swap(wanted_);
  }
  // One of them may be being written: it is the caller's again only then.
  const std::lock_guard filled(fill_mutex_);
  for (const MaskTarget& target : wanted) TellReady(target);
}

void GrammarFollower::Run() {
  if (!position_ && !failed_) Compile();
  std::unique_lock lock(mutex_);
  while (true) {
    if (!sampled_.empty()) {
      const TokenId token = sampled_.front();
      sampled_.pop_front();
      lock.unlock();
      Consume(token);
      lock.lock();
    } else if (!wanted_.empty() && num_filled_ == num_answered_) {
      const MaskTarget target = wanted_.front();
      {
        const std::lock_guard filling(fill_mutex_);
        lock.unlock();
        Fill(target.words);
      }
      lock.lock();
      if (wanted_.empty()) continue;  // abandoned meanwhile
      wanted_.pop_front();
      ++num_filled_;
      TellReady(target);
    } else {
      is_queued_ = false;
      return;
    }
  }
}

void GrammarFollower::Compile() {
  auto position = pool_.Compile(grammar_);
  if (!position.ok()) {
    failed_ = true;
    return;
  }
  position_.emplace(*std::move(position));
  for (const TokenId token : std::exchange(output_, {})) Consume(token);
}

void GrammarFollower::Consume(TokenId token) {
  if (failed_ || has_ended_) return;
  if (!is_open_) {
    is_open_ = token == grammar_.after_token;
  } else if (std::find(stop_token_ids_.begin(), stop_token_ids_.end(), token) !=
             stop_token_ids_.end()) {
    has_ended_ = true;
  } else if (!position_->Consume(token).ok()) {
    failed_ = true;
  }
}

void GrammarFollower::Fill(std::span<uint32_t> words) {
  if (!failed_ && is_open_ && !has_ended_) {
    const auto may_end = position_->Mask(words);
    if (may_end.ok()) {
      if (*may_end) {
        for (const TokenId id : stop_token_ids_) SetBit(words, id, true);
      }
      return;
    }
    failed_ = true;
  }
  AllowAllButEnd(words);
}

void GrammarFollower::AllowAllButEnd(std::span<uint32_t> words) const {
  std::fill(words.begin(), words.end(), ~uint32_t{0});
  if (is_open_) return;  // what is sampled means nothing, but something must be
  for (const TokenId id : stop_token_ids_) SetBit(words, id, false);
}

// ---- GrammarPool ----

GrammarPool::GrammarPool(std::string model_dir, int num_threads) {
  auto load =
      [dir = std::move(model_dir)]() -> absl::StatusOr<std::shared_ptr<text::GrammarCompiler>> {
    auto tokenizer = text::Tokenizer::Load(dir);
    if (!tokenizer.ok()) return tokenizer.status();
    return text::GrammarCompiler::Start(*std::move(tokenizer));
  };
  compiler_ = std::async(std::launch::async, std::move(load)).share();
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Work(); });
}

GrammarPool::~GrammarPool() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void GrammarPool::Run(std::shared_ptr<GrammarFollower> follower) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(follower));
  }
  wake_.notify_one();
}

absl::StatusOr<text::GrammarPosition> GrammarPool::Compile(const Grammar& grammar) {
  const auto& compiler = compiler_.get();
  if (!compiler.ok()) return compiler.status();
  return (*compiler)->Compile(grammar);
}

void GrammarPool::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return is_ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::shared_ptr<GrammarFollower> follower = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    follower->Run();
    lock.lock();
  }
}

// ---- GrammarMasks ----

void GrammarMasks::Enter(const StepCommand& command) {
  for (const int slot : command.released_slots) by_slot_[slot].reset();
  for (const SlotEntry& entry : command.entries) {
    by_slot_[entry.slot].reset();
    if (!entry.sampling.grammar) continue;
    const std::span<const TokenId> tokens(entry.tokens);
    by_slot_[entry.slot] = std::make_shared<GrammarFollower>(
        pool_, entry.sampling, tokens.subspan(entry.num_prompt_tokens));
  }
}

void GrammarMasks::Reset() {
  for (auto& follower : by_slot_) {
    if (follower) follower->Abandon();
    follower.reset();
  }
}

}  // namespace weft::worker
