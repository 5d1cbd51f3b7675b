#include "scheduler/election/lease.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

namespace weft::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What all candidates reach. Each has its own line to it, which may be cut.
struct SharedLease {
  std::mutex mutex;
  Lease lease;
  int num_writes = 0;
};

class Line final : public LeaseStore {
 public:
  Line(SharedLease& shared, std::atomic<bool>& is_cut) : shared_(shared), is_cut_(is_cut) {}
  absl::StatusOr<Lease> Get() override {
    if (is_cut_) return absl::UnavailableError("cut");
    std::lock_guard lock(shared_.mutex);
    return shared_.lease;
  }
  absl::StatusOr<Lease> Put(const Lease& lease) override {
    if (is_cut_) return absl::UnavailableError("cut");
    std::lock_guard lock(shared_.mutex);
    if (lease.version != shared_.lease.version) return absl::AbortedError("another version");
    shared_.lease = lease;
    shared_.lease.version = std::to_string(++shared_.num_writes);
    return shared_.lease;
  }

 private:
  SharedLease& shared_;
  std::atomic<bool>& is_cut_;
};

class Candidate {
 public:
  Candidate(SharedLease& shared, const std::string& name)
      : election_(std::make_unique<Line>(shared, is_cut), name, name + ":1"), thread_([this] {
          const auto won = election_.Win();
          if (!won.ok()) return;
          term = *won;
          loss_ = election_.AwaitLoss();
          lost_at = steady_clock::now();
          is_lost = true;
          if (loss_.ok()) election_.Release();
        }) {}
  ~Candidate() { Stop(); }
  void Stop() {
    election_.Stop();
    if (thread_.joinable()) thread_.join();
  }
  template <class Condition>
  static bool Await(Condition condition, milliseconds limit) {
    const auto deadline = steady_clock::now() + limit;
    while (!condition() && steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return condition();
  }
  bool AwaitLead(milliseconds limit) {
    return Await([this] { return term != 0; }, limit);
  }
  const absl::Status& loss() const { return loss_; }
  std::string leader() const { return election_.leader(); }
  std::string Successor() { return election_.Successor(); }  // behind Stop

  std::atomic<bool> is_cut{false};
  std::atomic<uint64_t> term{0};
  std::atomic<bool> is_lost{false};
  steady_clock::time_point lost_at;

 private:
  LeaseElection election_;
  absl::Status loss_;
  std::thread thread_;
};

TEST(LeaseElection, OneLeadsTheOthersKnowWhere) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  Candidate b(shared, "b");
  EXPECT_FALSE(b.AwaitLead(LeaseElection::kDuration + milliseconds(500)));  // renewals count
  EXPECT_EQ(b.leader(), "a:1");
}

TEST(LeaseElection, OfManyAtOnceOneWins) {
  SharedLease shared;
  std::vector<std::unique_ptr<Candidate>> candidates;
  for (int i = 0; i < 8; ++i) {
    candidates.push_back(std::make_unique<Candidate>(shared, std::string(1, 'a' + i)));
  }
  std::this_thread::sleep_for(2 * LeaseElection::kInterval);
  int num_leading = 0;
  for (const auto& candidate : candidates) num_leading += candidate->term != 0 ? 1 : 0;
  EXPECT_EQ(num_leading, 1);
}

// Who is cut off has given up before another leads.
TEST(LeaseElection, ALeaderThatCannotRenewGivesUpInTime) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  Candidate b(shared, "b");
  a.is_cut = true;
  ASSERT_TRUE(b.AwaitLead(milliseconds(8000)));
  const auto led_at = steady_clock::now();
  ASSERT_TRUE(a.is_lost);
  EXPECT_LT(a.lost_at, led_at);
  EXPECT_EQ(a.loss().code(), absl::StatusCode::kUnavailable);
  EXPECT_GT(b.term, a.term);
}

TEST(LeaseElection, AnInterruptionThatEndsInTimeChangesNothing) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  Candidate b(shared, "b");
  a.is_cut = true;
  std::this_thread::sleep_for(LeaseElection::kRenewDeadline - 2 * LeaseElection::kInterval);
  a.is_cut = false;
  EXPECT_FALSE(b.AwaitLead(LeaseElection::kDuration));
  EXPECT_FALSE(a.is_lost);
}

TEST(LeaseElection, WhoReleasesItLearnsWhoIsNext) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  Candidate b(shared, "b");
  ASSERT_TRUE(Candidate::Await([&] { return b.leader() == "a:1"; }, milliseconds(2000)));
  a.Stop();
  EXPECT_EQ(a.leader(), "");
  ASSERT_TRUE(b.AwaitLead(LeaseElection::kDuration - milliseconds(500)));  // before it runs out
  EXPECT_GT(b.term, a.term);
  EXPECT_EQ(a.Successor(), "b:1");
  EXPECT_EQ(a.leader(), "b:1");
}

TEST(LeaseElection, WhoReleasesItAloneHasNoSuccessor) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  a.Stop();
  EXPECT_EQ(shared.lease.holder, "");
  EXPECT_EQ(shared.lease.address, "");
  EXPECT_EQ(shared.lease.term, a.term);  // the next one's is higher
  EXPECT_EQ(a.Successor(), "");
}

// The answer to a renewal was lost, so that the version is another than the holder knows.
TEST(LeaseElection, ALeaseThatChangedUnseenIsReleasedAllTheSame) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  {
    std::lock_guard lock(shared.mutex);
    shared.lease.version = "unseen";
  }
  a.Stop();
  EXPECT_EQ(shared.lease.holder, "");
}

TEST(LeaseElection, WhoCannotReleaseItLeavesItToRunOut) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  Candidate b(shared, "b");
  a.is_cut = true;
  a.Stop();
  a.is_cut = false;
  EXPECT_EQ(a.Successor(), "");
  ASSERT_TRUE(b.AwaitLead(milliseconds(8000)));
  EXPECT_EQ(a.Successor(), "b:1");
}

TEST(LeaseElection, ALeaseOfAnotherIsNotReleased) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  {
    std::lock_guard lock(shared.mutex);
    shared.lease = {.holder = "b", .address = "b:1", .term = a.term + 1, .version = "other"};
  }
  a.Stop();
  EXPECT_EQ(shared.lease.holder, "b");
}

TEST(LeaseElection, ALeaseThatIsAnothersIsLost) {
  SharedLease shared;
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  {
    std::lock_guard lock(shared.mutex);
    shared.lease.holder = "someone";
    shared.lease.version = "other";
  }
  EXPECT_TRUE(Candidate::Await([&] { return a.is_lost.load(); }, milliseconds(2000)));
  EXPECT_EQ(a.loss().code(), absl::StatusCode::kAborted);
  EXPECT_NE(a.loss().message().find("someone's"), std::string::npos);
}

TEST(LeaseElection, TermsGrowWhateverTheClockSays) {
  SharedLease shared;
  const uint64_t future = TermOfNow() + 1'000'000'000'000;
  shared.lease = {.term = future, .version = "1"};
  Candidate a(shared, "a");
  ASSERT_TRUE(a.AwaitLead(milliseconds(1000)));
  EXPECT_EQ(a.term, future + 1);
}

}  // namespace
}  // namespace weft::scheduler
