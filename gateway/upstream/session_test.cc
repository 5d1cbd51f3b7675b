#include "gateway/upstream/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct FakeSink : SequenceSink {
  std::optional<int> OnTokens(std::span<const TokenId> tokens,
                              std::span<const v1::TokenLogprobs* const> probs) override {
    received.insert(received.end(), tokens.begin(), tokens.end());
    for (const auto* p : probs) logprobs.push_back(p->logprob());
    if (conclude_at && received.size() >= *conclude_at) return static_cast<int>(*conclude_at);
    return std::nullopt;
  }
  void OnPromptLogprobs(const v1::PromptLogprobs& given, int first_entry) override {
    EXPECT_TRUE(received.empty()) << "behind a token";
    for (int i = first_entry; i < given.logprobs_size(); ++i) {
      prompt_positions.push_back(static_cast<int>(given.first_position()) + i);
    }
  }
  void OnEnd(const SequenceEnd& given) override {
    EXPECT_FALSE(end) << "a second end";
    end = given;
  }

  std::vector<TokenId> received;
  std::vector<float> logprobs;
  std::vector<int> prompt_positions;
  std::optional<size_t> conclude_at;
  std::optional<SequenceEnd> end;
};

// The scheduler's side is written by hand, frame by frame.
class SessionTest : public ::testing::Test {
 protected:
  static constexpr TokenId kEos = 9;

  // A prompt of ten tokens whose logprobs are asked for.
  std::shared_ptr<FakeSink> OpenForPromptLogprobs(SequenceId id) {
    auto sink = std::make_shared<FakeSink>();
    Submission submission{.prompt = std::make_shared<std::vector<TokenId>>(10, 1),
                          .max_tokens = 100};
    submission.sampling.num_prompt_logprobs = 1;
    session_.Open(id, std::move(submission), sink, now_);
    return sink;
  }

  // Of positions `first` to `last`.
  void PromptLogprobs(uint32_t handle, int first, int last) {
    v1::SchedulerFrame frame = Frame();
    v1::PromptLogprobsPart& part = *frame.add_prompt_logprobs();
    part.set_handle(handle);
    v1::PromptLogprobs& logprobs = *part.mutable_logprobs();
    logprobs.set_first_position(static_cast<uint32_t>(first));
    logprobs.set_num_top(1);
    for (int i = first; i <= last; ++i) {
      logprobs.add_logprobs(-1);
      logprobs.add_ranks(1);
      logprobs.add_top_tokens(1);
      logprobs.add_top_logprobs(-1);
    }
    session_.Receive(frame, now_);
  }

  std::shared_ptr<FakeSink> Open(SequenceId id, int max_tokens = 100, bool logprobs = false) {
    auto sink = std::make_shared<FakeSink>();
    Submission submission{.prompt = std::make_shared<std::vector<TokenId>>(3, 1),
                          .max_tokens = max_tokens};
    submission.sampling.seed = 42;
    submission.sampling.stop_token_ids = {kEos};
    if (logprobs) submission.sampling.num_logprobs = 0;
    session_.Open(id, std::move(submission), sink, now_);
    return sink;
  }

  void Welcome(uint64_t epoch = 1, uint32_t workers = 1, const std::string& fingerprint = "m") {
    v1::SchedulerFrame frame;
    frame.set_epoch(epoch);
    frame.mutable_welcome();
    frame.mutable_load()->set_num_ready_workers(workers);
    frame.mutable_load()->mutable_model()->set_fingerprint(fingerprint);
    session_.Receive(frame, now_);
    epoch_ = epoch;
  }

  void Connect(uint64_t epoch = 1) {
    session_.LinkUp(now_);
    Welcome(epoch);
    Outgoing();
  }

  v1::SchedulerFrame Frame() const {
    v1::SchedulerFrame frame;
    frame.set_epoch(epoch_);
    return frame;
  }

  static void Append(v1::SchedulerFrame& frame, uint32_t handle, uint32_t first,
                     std::vector<TokenId> ids) {
    v1::Tokens& tokens = *frame.mutable_tokens();
    tokens.add_handles(handle);
    tokens.add_first_indexes(first);
    tokens.add_counts(static_cast<uint32_t>(ids.size()));
    for (TokenId id : ids) tokens.add_tokens(id);
  }

  void Tokens(uint32_t handle, uint32_t first, std::vector<TokenId> ids) {
    v1::SchedulerFrame frame = Frame();
    Append(frame, handle, first, std::move(ids));
    session_.Receive(frame, now_);
  }

  void Finish(uint32_t handle, v1::FinishReason reason, uint32_t cached = 0) {
    v1::SchedulerFrame frame = Frame();
    v1::Finished& finished = *frame.add_finished();
    finished.set_handle(handle);
    finished.set_reason(reason);
    finished.set_num_cached_tokens(cached);
    session_.Receive(frame, now_);
  }

  void Reject(uint32_t handle, v1::RejectCode code, uint32_t retry_after_ms) {
    v1::SchedulerFrame frame = Frame();
    v1::Rejected& rejected = *frame.add_rejected();
    rejected.set_handle(handle);
    rejected.set_code(code);
    rejected.set_retry_after_ms(retry_after_ms);
    session_.Receive(frame, now_);
  }

  void Pass(milliseconds time) {
    now_ += time;
    session_.Tick(now_);
  }

  // What the session wants said, as words.
  std::vector<std::string> Outgoing() {
    std::vector<std::string> words;
    for (const v1::GatewayFrame& frame : session_.TakeOutgoing()) {
      last_epoch_ = frame.epoch();
      if (frame.has_hello()) words.push_back(absl::StrCat("hello ", frame.hello().gateway_id()));
      if (frame.has_submit()) {
        last_submit_ = frame.submit();
        words.push_back(absl::StrCat("submit ", frame.submit().handle(), " behind ",
                                     frame.submit().delivered_tokens_size()));
      }
      if (frame.has_conclude()) {
        words.push_back(absl::StrCat("conclude ", frame.conclude().handle(), " at ",
                                     frame.conclude().num_tokens()));
      }
      if (frame.has_cancel()) words.push_back(absl::StrCat("cancel ", frame.cancel().handle()));
    }
    return words;
  }

  Session session_{{.gateway_id = "g"}};
  MonotonicTime now_{seconds(1000)};
  uint64_t epoch_ = 0;
  uint64_t last_epoch_ = 0;
  v1::Submit last_submit_;
};

TEST_F(SessionTest, HelloComesFirstAndCarriesNoEpoch) {
  session_.LinkUp(now_);
  EXPECT_THAT(Outgoing(), ElementsAre("hello g"));
  EXPECT_EQ(last_epoch_, 0u);
  EXPECT_FALSE(session_.state().welcomed);
}

TEST_F(SessionTest, SubmitCarriesTheEpochOfTheWelcome) {
  Connect(7);
  Open(1);
  EXPECT_THAT(Outgoing(), ElementsAre("submit 1 behind 0"));
  EXPECT_EQ(last_epoch_, 7u);
  EXPECT_EQ(last_submit_.prompt_tokens_size(), 3);
  EXPECT_EQ(last_submit_.sampling().seed(), 42u);
}

TEST_F(SessionTest, TokensGoToTheirSequences) {
  Connect();
  auto a = Open(1), b = Open(2);
  v1::SchedulerFrame frame = Frame();
  Append(frame, 2, 0, {5});
  Append(frame, 1, 0, {6, 7});
  session_.Receive(frame, now_);
  EXPECT_THAT(a->received, ElementsAre(6, 7));
  EXPECT_THAT(b->received, ElementsAre(5));
}

TEST_F(SessionTest, TokensOfAFrameComeBeforeItsEnds) {
  Connect();
  auto a = Open(1);
  v1::SchedulerFrame frame = Frame();
  Append(frame, 1, 0, {6, kEos});
  frame.add_finished()->set_handle(1);
  frame.mutable_finished(0)->set_reason(v1::FINISH_REASON_STOP);
  frame.mutable_finished(0)->set_num_cached_tokens(2);
  session_.Receive(frame, now_);
  EXPECT_THAT(a->received, ElementsAre(6, kEos));
  ASSERT_TRUE(a->end);
  EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kStop);
  EXPECT_EQ(a->end->num_cached_tokens, 2);
  EXPECT_EQ(session_.num_open(), 0u);
}

TEST_F(SessionTest, LogprobsAreCountedOverThoseWhoAskedEvenIfCancelled) {
  Connect();
  auto gone = Open(1, 100, true), plain = Open(2), asked = Open(3, 100, true);
  session_.Cancel(1);
  v1::SchedulerFrame frame = Frame();
  Append(frame, 1, 0, {5, 6});
  Append(frame, 2, 0, {7});
  Append(frame, 3, 0, {8});
  for (float value : {-1.f, -2.f, -3.f}) {
    frame.mutable_tokens()->add_logprobs()->set_logprob(value);
  }
  session_.Receive(frame, now_);
  EXPECT_FALSE(session_.wants_new_link());
  EXPECT_THAT(gone->received, IsEmpty());
  EXPECT_THAT(plain->logprobs, IsEmpty());
  EXPECT_THAT(asked->logprobs, ElementsAre(-3.f));
}

TEST_F(SessionTest, EachPromptPositionIsHandedOnOnceHoweverOftenItComes) {
  Connect();
  auto a = OpenForPromptLogprobs(1);
  Outgoing();
  EXPECT_EQ(last_submit_.sampling().num_prompt_logprobs(), 1u);
  PromptLogprobs(1, 1, 4);
  PromptLogprobs(1, 1, 3);  // it was preempted, and computed again in other steps
  PromptLogprobs(1, 4, 6);
  session_.LinkDown(now_);
  Connect(2);
  EXPECT_THAT(a->prompt_positions, ElementsAre(1, 2, 3, 4, 5, 6));
  PromptLogprobs(1, 1, 9);
  EXPECT_THAT(a->prompt_positions, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  Tokens(1, 0, {5});
  EXPECT_THAT(a->received, ElementsAre(5));
  EXPECT_FALSE(a->end);
}

TEST_F(SessionTest, LostOrSenselessPromptLogprobsEndTheirSequenceAlone) {
  const std::vector<std::function<void(uint32_t)>> breaks = {
      [&](uint32_t handle) { PromptLogprobs(handle, 3, 5); },   // a gap
      [&](uint32_t handle) { PromptLogprobs(handle, 0, 5); },   // nothing predicts the first
      [&](uint32_t handle) { PromptLogprobs(handle, 1, 10); },  // beyond the prompt
      [&](uint32_t handle) { Tokens(handle, 0, {5}); },         // before they have come
  };
  Connect();
  auto plain = Open(100);
  uint32_t handle = 1;
  for (const auto& break_it : breaks) {
    auto a = OpenForPromptLogprobs(handle);
    break_it(++handle);
    ASSERT_TRUE(a->end);
    EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kError);
    EXPECT_THAT(a->prompt_positions, IsEmpty());
  }
  PromptLogprobs(1, 1, 2);  // nobody asked
  EXPECT_FALSE(plain->end);
  EXPECT_THAT(plain->prompt_positions, IsEmpty());
  EXPECT_FALSE(session_.wants_new_link());
}

TEST_F(SessionTest, AStopStringConcludesAtOnceAndOnlyTheEndFollows) {
  Connect();
  auto a = Open(1);
  a->conclude_at = 2;
  Outgoing();
  Tokens(1, 0, {5, 6});
  EXPECT_THAT(Outgoing(), ElementsAre("conclude 1 at 2"));
  Tokens(1, 2, {7});
  EXPECT_THAT(a->received, ElementsAre(5, 6));
  EXPECT_FALSE(a->end);
  Finish(1, v1::FINISH_REASON_STOP);
  EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kStop);
}

TEST_F(SessionTest, WhatWasConcludedEndsWellWhateverTheSchedulerSays) {
  Connect();
  uint32_t handle = 0;
  for (const v1::FinishReason reason :
       {v1::FINISH_REASON_LENGTH, v1::FINISH_REASON_ERROR, v1::FINISH_REASON_TIMEOUT}) {
    auto a = Open(++handle);
    a->conclude_at = 1;
    Tokens(handle, 0, {5});
    Finish(handle, reason);
    EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kStop);
  }
}

TEST_F(SessionTest, CancelIsSaidOnceAndNothingIsHeardAfterIt) {
  Connect();
  auto a = Open(1);
  Outgoing();
  session_.Cancel(1);
  session_.Cancel(1);
  EXPECT_THAT(Outgoing(), ElementsAre("cancel 1"));
  Tokens(1, 0, {5});
  Finish(1, v1::FINISH_REASON_CANCELLED);
  EXPECT_THAT(a->received, IsEmpty());
  EXPECT_FALSE(a->end);
  EXPECT_EQ(session_.num_unknown_handles(), 0u);
}

TEST_F(SessionTest, UnknownHandlesAreIgnoredAndCounted) {
  Connect();
  Tokens(77, 0, {5});
  Finish(77, v1::FINISH_REASON_STOP);
  EXPECT_FALSE(session_.wants_new_link());
  EXPECT_EQ(session_.num_unknown_handles(), 2u);
}

TEST_F(SessionTest, RepeatedTokensAreDroppedAndMissingOnesEndTheSequence) {
  Connect();
  auto a = Open(1);
  Tokens(1, 0, {5, 6});
  Tokens(1, 1, {6, 7});
  EXPECT_THAT(a->received, ElementsAre(5, 6, 7));
  Outgoing();
  Tokens(1, 4, {8});
  ASSERT_TRUE(a->end);
  EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kError);
  EXPECT_THAT(Outgoing(), ElementsAre("cancel 1"));
}

TEST_F(SessionTest, ListsThatDoNotFitTogetherEndTheLink) {
  const std::vector<std::function<void(v1::Tokens&)>> breaks = {
      [](v1::Tokens& t) { t.add_counts(1); },
      [](v1::Tokens& t) { t.add_tokens(1); },
      [](v1::Tokens& t) { t.set_counts(0, 1000000000); },
      [](v1::Tokens& t) { t.add_logprobs(); },
      [](v1::Tokens& t) { t.clear_first_indexes(); },
  };
  for (size_t i = 0; i < breaks.size(); ++i) {
    SCOPED_TRACE(i);
    Connect();
    Open(i + 1);
    v1::SchedulerFrame frame = Frame();
    Append(frame, 1, 0, {5});
    breaks[i](*frame.mutable_tokens());
    session_.Receive(frame, now_);
    EXPECT_TRUE(session_.wants_new_link());
    session_.LinkDown(now_);
  }
}

TEST_F(SessionTest, AResumedSequenceGoesOnBehindWhatWasDelivered) {
  Connect(1);
  auto a = Open(1);
  Tokens(1, 0, {5, 6});
  Outgoing();
  session_.LinkDown(now_);
  EXPECT_FALSE(a->end);
  session_.LinkUp(now_);
  Outgoing();
  Welcome(2);
  EXPECT_THAT(Outgoing(), ElementsAre("submit 1 behind 2"));
  EXPECT_EQ(last_epoch_, 2u);
  EXPECT_EQ(last_submit_.sampling().seed(), 42u);
  EXPECT_EQ(last_submit_.max_tokens(), 100u);
  Tokens(1, 2, {7});
  EXPECT_THAT(a->received, ElementsAre(5, 6, 7));
}

TEST_F(SessionTest, ResumptionsWaitForAWorker) {
  Connect(1);
  auto a = Open(1);
  session_.LinkDown(now_);
  session_.LinkUp(now_);
  Outgoing();
  Welcome(2, /*workers=*/0);
  EXPECT_THAT(Outgoing(), IsEmpty());
  v1::SchedulerFrame frame = Frame();
  frame.mutable_load()->set_num_ready_workers(1);
  session_.Receive(frame, now_);
  EXPECT_THAT(Outgoing(), ElementsAre("submit 1 behind 0"));
}

TEST_F(SessionTest, AResumptionTurnedAwayIsRepeatedWhenAsked) {
  Connect(1);
  auto a = Open(1);
  session_.LinkDown(now_);
  Connect(2);
  Reject(1, v1::REJECT_CODE_QUEUE_FULL, 500);
  EXPECT_FALSE(a->end);
  Pass(milliseconds(499));
  EXPECT_THAT(Outgoing(), IsEmpty());
  Pass(milliseconds(1));
  EXPECT_THAT(Outgoing(), ElementsAre("submit 2 behind 0"));
}

TEST_F(SessionTest, ANewSequenceTurnedAwayIsToldSo) {
  Connect();
  auto a = Open(1);
  Reject(1, v1::REJECT_CODE_QUEUE_FULL, 500);
  ASSERT_TRUE(a->end);
  EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kRejected);
  EXPECT_EQ(a->end->reject_code, v1::REJECT_CODE_QUEUE_FULL);
  EXPECT_EQ(a->end->retry_after, milliseconds(500));
}

TEST_F(SessionTest, RecoveryIsBounded) {
  Connect();
  auto a = Open(1);
  Tokens(1, 0, {5});
  session_.LinkDown(now_);
  ASSERT_EQ(session_.NextWakeup(), now_ + seconds(30));
  Pass(milliseconds(29999));
  EXPECT_FALSE(a->end);
  Pass(milliseconds(1));
  ASSERT_TRUE(a->end);
  EXPECT_EQ(a->end->kind, SequenceEnd::Kind::kLost);
  EXPECT_EQ(session_.NextWakeup(), std::nullopt);
}

TEST_F(SessionTest, ADeadlineHoldsWhileTheSchedulerIsLost) {
  Connect();
  auto sink = std::make_shared<FakeSink>();
  session_.Open(1,
                {.prompt = std::make_shared<std::vector<TokenId>>(1, 1),
                 .max_tokens = 5,
                 .deadline = now_ + seconds(2)},
                sink, now_);
  Outgoing();
  EXPECT_EQ(last_submit_.timeout_ms(), 2000u);
  session_.LinkDown(now_);
  Pass(milliseconds(1500));
  Connect(2);
  EXPECT_EQ(session_.NextWakeup(), std::nullopt);
  session_.LinkDown(now_);
  Pass(milliseconds(500));
  ASSERT_TRUE(sink->end);
  EXPECT_EQ(sink->end->kind, SequenceEnd::Kind::kTimeout);
}

TEST_F(SessionTest, WhatLackedOnlyItsEndEndsWithTheLink) {
  Connect();
  auto stopped = Open(1), full = Open(2, /*max_tokens=*/2), concluded = Open(3), open = Open(4);
  concluded->conclude_at = 1;
  Tokens(1, 0, {5, kEos});
  Tokens(2, 0, {5, 6});
  Tokens(3, 0, {5});
  Tokens(4, 0, {5});
  session_.LinkDown(now_);
  EXPECT_EQ(stopped->end->kind, SequenceEnd::Kind::kStop);
  EXPECT_EQ(full->end->kind, SequenceEnd::Kind::kLength);
  EXPECT_EQ(concluded->end->kind, SequenceEnd::Kind::kStop);
  EXPECT_FALSE(open->end);
  EXPECT_EQ(session_.num_open(), 1u);
}

TEST_F(SessionTest, AnotherModelDoesNotGoOnWithWhatOneBegan) {
  Connect();
  auto begun = Open(1), fresh = Open(2);
  Tokens(1, 0, {5});
  session_.LinkDown(now_);
  session_.LinkUp(now_);
  Outgoing();
  Welcome(2, 1, "another");
  ASSERT_TRUE(begun->end);
  EXPECT_EQ(begun->end->kind, SequenceEnd::Kind::kError);
  EXPECT_FALSE(fresh->end);
  EXPECT_THAT(Outgoing(), ElementsAre("submit 1 behind 0"));
}

TEST_F(SessionTest, FramesOfAnEarlierTermAreIgnored) {
  Connect(5);
  auto a = Open(1);
  v1::SchedulerFrame frame;
  frame.set_epoch(4);
  Append(frame, 1, 0, {5});
  session_.Receive(frame, now_);
  EXPECT_THAT(a->received, IsEmpty());
  EXPECT_FALSE(session_.wants_new_link());
}

TEST_F(SessionTest, ALaterTermEndsTheLink) {
  Connect(5);
  v1::SchedulerFrame frame;
  frame.set_epoch(6);
  session_.Receive(frame, now_);
  EXPECT_TRUE(session_.wants_new_link());
}

TEST_F(SessionTest, AHolderThatAnotherHasFollowedIsNotJoined) {
  Connect(5);
  session_.LinkDown(now_);
  session_.LinkUp(now_);
  Welcome(4);
  EXPECT_TRUE(session_.wants_new_link());
  EXPECT_FALSE(session_.state().welcomed);
}

TEST_F(SessionTest, NotLeaderNamesTheNextAddressOnce) {
  session_.LinkUp(now_);
  v1::SchedulerFrame frame;
  frame.mutable_not_leader()->set_address("b:1");
  session_.Receive(frame, now_);
  EXPECT_TRUE(session_.wants_new_link());
  EXPECT_EQ(session_.TakeLeader(), "b:1");
  EXPECT_EQ(session_.TakeLeader(), "");
}

TEST_F(SessionTest, WhatALeaderSaysAsItHandsOverCountsAndTheRestGoesOnAtTheNext) {
  Connect(5);
  auto a = Open(1), b = Open(2);
  Outgoing();
  v1::SchedulerFrame frame = Frame();
  Append(frame, 1, 0, {7, 8});
  Append(frame, 2, 0, {7, kEos});
  v1::Finished& finished = *frame.add_finished();
  finished.set_handle(2);
  finished.set_reason(v1::FINISH_REASON_STOP);
  frame.mutable_not_leader()->set_address("b:1");
  session_.Receive(frame, now_);
  EXPECT_TRUE(session_.wants_new_link());
  EXPECT_THAT(a->received, ElementsAre(7, 8));
  ASSERT_TRUE(b->end);
  EXPECT_EQ(b->end->kind, SequenceEnd::Kind::kStop);

  session_.LinkDown(now_);
  EXPECT_EQ(session_.TakeLeader(), "b:1");
  EXPECT_EQ(session_.state().lost_at, now_);
  session_.LinkUp(now_);
  Welcome(6);
  EXPECT_THAT(Outgoing(), ElementsAre("hello g", "submit 1 behind 2"));
  EXPECT_FALSE(a->end);
}

TEST_F(SessionTest, ADialThatFailsIsNoLoss) {
  session_.LinkUp(now_);
  session_.LinkDown(now_);
  EXPECT_FALSE(session_.state().lost_at);
  Connect();
  session_.LinkDown(now_);
  const auto lost_at = session_.state().lost_at;
  Pass(seconds(2));
  session_.LinkUp(now_);
  session_.LinkDown(now_);
  EXPECT_EQ(session_.state().lost_at, lost_at);
}

TEST_F(SessionTest, ASilentPeerIsGivenUp) {
  session_.LinkUp(now_);
  EXPECT_EQ(session_.NextWakeup(), now_ + seconds(10));
  Pass(seconds(10));
  EXPECT_TRUE(session_.wants_new_link());
}

TEST_F(SessionTest, SequencesOpenedWithoutASessionWaitForOne) {
  auto a = Open(1);
  EXPECT_THAT(Outgoing(), IsEmpty());
  session_.LinkUp(now_);
  Welcome();
  EXPECT_THAT(Outgoing(), ElementsAre("hello g", "submit 1 behind 0"));
  session_.Cancel(1);
  EXPECT_EQ(session_.num_open(), 0u);
}

}  // namespace
}  // namespace weft::gateway
