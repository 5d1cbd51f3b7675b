#include "text/grammar.h"

#include <future>
#include <list>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "text/rust.h"
#include "text/tokenizer_impl.h"

namespace weft::text {
namespace {

// Services ask with few grammars, and with each again and again. One takes some 100 KB.
constexpr size_t kMaxCached = 64;

ffi::GrammarKind ToFfi(Grammar::Kind kind) {
  switch (kind) {
    case Grammar::Kind::kJsonObject:
      return ffi::GrammarKind::JsonObject;
    case Grammar::Kind::kJsonSchema:
      return ffi::GrammarKind::JsonSchema;
    case Grammar::Kind::kRegex:
      return ffi::GrammarKind::Regex;
    case Grammar::Kind::kChoice:
      return ffi::GrammarKind::Choice;
    case Grammar::Kind::kGrammar:
      break;
  }
  return ffi::GrammarKind::Grammar;
}

}  // namespace

struct GrammarPosition::Impl {
  RustGrammarPosition rust;
};

GrammarPosition::GrammarPosition(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarPosition::GrammarPosition(GrammarPosition&&) noexcept = default;
GrammarPosition& GrammarPosition::operator=(GrammarPosition&&) noexcept = default;
GrammarPosition::~GrammarPosition() = default;

absl::Status GrammarPosition::Consume(TokenId token) {
  RustText error;
  const auto code =
      ffi::weft_text_grammar_consume(impl_->rust.get(), static_cast<uint32_t>(token), error.out());
  return ToStatus(code, error);
}

absl::StatusOr<bool> GrammarPosition::Mask(std::span<uint32_t> words) {
  bool may_end = false;
  RustText error;
  const auto code = ffi::weft_text_grammar_mask(impl_->rust.get(), words.data(), words.size(),
                                                &may_end, error.out());
  if (auto s = ToStatus(code, error); !s.ok()) return s;
  return may_end;
}

struct GrammarCompiler::Impl {
  // A grammar and its start, from which every answer is forked.
  struct Compiled {
    Grammar grammar;
    std::mutex mutex;  // one fork at a time
    RustGrammarPosition start;
  };

  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_future<absl::StatusOr<std::shared_ptr<ffi::GrammarCompiler>>> rust;

  std::mutex mutex;
  std::list<std::shared_ptr<Compiled>> cache;  // used last first

  std::shared_ptr<Compiled> Find(const Grammar& grammar);
  void Keep(std::shared_ptr<Compiled> compiled);
};

std::shared_ptr<GrammarCompiler::Impl::Compiled> GrammarCompiler::Impl::Find(
    const Grammar& grammar) {
  const std::lock_guard lock(mutex);
  for (auto it = cache.begin(); it != cache.end(); ++it) {
    if ((*it)->grammar != grammar) continue;
    cache.splice(cache.begin(), cache, it);
    return cache.front();
  }
  return nullptr;
}

void GrammarCompiler::Impl::Keep(std::shared_ptr<Compiled> compiled) {
  const std::lock_guard lock(mutex);
  cache.push_front(std::move(compiled));
  if (cache.size() > kMaxCached) cache.pop_back();
}

GrammarCompiler::GrammarCompiler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarCompiler::~GrammarCompiler() = default;

std::shared_ptr<GrammarCompiler> GrammarCompiler::Start(
    std::shared_ptr<const Tokenizer> tokenizer) {
  auto impl = std::make_unique<Impl>();
  impl->tokenizer = tokenizer;
  auto prepare = [tokenizer = std::move(
                      tokenizer)]() -> absl::StatusOr<std::shared_ptr<ffi::GrammarCompiler>> {
    const TokenId eos = tokenizer->eos_id();
    if (eos < 0) {
      return absl::InvalidArgumentError(
          "this model's tokenizer names no end-of-text token: it follows no grammar");
    }
    ffi::GrammarCompiler* compiler = nullptr;
    RustText error;
    const auto code = ffi::weft_text_grammar_compiler_new(
        tokenizer->impl_->rust.get(), static_cast<uint32_t>(eos), &compiler, error.out());
    if (auto s = ToStatus(code, error); !s.ok()) return s;
    return std::shared_ptr<ffi::GrammarCompiler>(compiler, RustFree());
  };
  impl->rust = std::async(std::launch::async, std::move(prepare)).share();
  return std::shared_ptr<GrammarCompiler>(new GrammarCompiler(std::move(impl)));
}

absl::StatusOr<GrammarPosition> GrammarCompiler::Compile(const Grammar& grammar) {
  std::shared_ptr<Impl::Compiled> compiled = impl_->Find(grammar);
  if (compiled == nullptr) {
    const auto& rust = impl_->rust.get();
    if (!rust.ok()) return rust.status();
    ffi::GrammarPosition* start = nullptr;
    RustText error;
    const auto code =
        ffi::weft_text_grammar_compile(rust->get(), ToFfi(grammar.kind), ToSlice(grammar.text),
                                       grammar.after_token.has_value(), &start, error.out());
    if (auto s = ToStatus(code, error); !s.ok()) return s;
    compiled = std::make_shared<Impl::Compiled>();
    compiled->grammar = grammar;
    compiled->start.reset(start);
    impl_->Keep(compiled);
  }
  auto position = std::make_unique<GrammarPosition::Impl>();
  {
    const std::lock_guard lock(compiled->mutex);
    position->rust.reset(ffi::weft_text_grammar_fork(compiled->start.get()));
  }
  if (position->rust == nullptr) return absl::InternalError("a grammar could not be copied");
  return GrammarPosition(std::move(position));
}

}  // namespace weft::text
