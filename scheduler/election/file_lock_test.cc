#include "scheduler/election/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

namespace weft::scheduler {
namespace {

using std::chrono::milliseconds;

class FileLockElectionTest : public ::testing::Test {
 protected:
  FileLockElectionTest() {
    char name[] = "/tmp/weft-election-XXXXXX";
    folder_ = mkdtemp(name);
    path_ = folder_ + "/leader";
  }
  ~FileLockElectionTest() override { std::filesystem::remove_all(folder_); }

  static std::future<absl::StatusOr<uint64_t>> WinLater(Election& election) {
    return std::async(std::launch::async, [&] { return election.Win(); });
  }

  std::string folder_, path_;
};

TEST_F(FileLockElectionTest, OneLeadsAndTheOthersKnowWhere) {
  FileLockElection a(path_, "a:1"), b(path_, "b:2");
  EXPECT_EQ(b.leader(), "");
  ASSERT_TRUE(a.Win().ok());
  auto later = WinLater(b);
  EXPECT_EQ(later.wait_for(4 * FileLockElection::kPoll), std::future_status::timeout);
  EXPECT_EQ(b.leader(), "a:1");
  b.Stop();
  EXPECT_EQ(later.get().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(FileLockElectionTest, TheNextHasTheLockSoonAndAHigherTerm) {
  std::optional<FileLockElection> a(std::in_place, path_, "a:1");
  FileLockElection b(path_, "b:2");
  const auto first = a->Win();
  ASSERT_TRUE(first.ok());
  auto later = WinLater(b);
  a.reset();
  ASSERT_EQ(later.wait_for(milliseconds(2000)), std::future_status::ready);
  const auto second = later.get();
  ASSERT_TRUE(second.ok());
  EXPECT_GT(*second, *first);
  EXPECT_EQ(b.leader(), "b:2");
}

TEST_F(FileLockElectionTest, AKilledProcessLetsGo) {
  const pid_t child = fork();
  if (child == 0) {
    FileLockElection election(path_, "child:1");
    if (election.Win().ok()) pause();
    _exit(1);
  }
  FileLockElection ours(path_, "ours:2");
  while (ours.leader().empty()) usleep(1000);
  auto later = WinLater(ours);
  EXPECT_EQ(later.wait_for(2 * FileLockElection::kPoll), std::future_status::timeout);
  kill(child, SIGKILL);
  EXPECT_TRUE(later.get().ok());
  waitpid(child, nullptr, 0);
}

TEST_F(FileLockElectionTest, TermsGrowWhateverTheClockSays) {
  const uint64_t future = TermOfNow() + 1'000'000'000'000;  // eleven days
  std::ofstream(path_) << future << " before:1\n";
  FileLockElection election(path_, "a:1");
  EXPECT_EQ(*election.Win(), future + 1);
}

TEST_F(FileLockElectionTest, ADamagedFileIsAFreshOne) {
  std::ofstream(path_) << "what is this";
  FileLockElection election(path_, "a:1");
  EXPECT_EQ(election.leader(), "");
  EXPECT_TRUE(election.Win().ok());
  EXPECT_EQ(election.leader(), "a:1");
}

TEST_F(FileLockElectionTest, ALeaderWhoseFileIsGoneLeadsNoMore) {
  FileLockElection a(path_, "a:1");
  ASSERT_TRUE(a.Win().ok());
  std::filesystem::remove(path_);
  const absl::Status loss = a.AwaitLoss();
  EXPECT_EQ(loss.code(), absl::StatusCode::kAborted) << loss;
}

TEST_F(FileLockElectionTest, StopEndsALead) {
  FileLockElection a(path_, "a:1");
  ASSERT_TRUE(a.Win().ok());
  auto loss = std::async(std::launch::async, [&] { return a.AwaitLoss(); });
  a.Stop();
  EXPECT_TRUE(loss.get().ok());
}

TEST_F(FileLockElectionTest, WhoReleasesItLearnsWhoIsNext) {
  FileLockElection a(path_, "a:1"), b(path_, "b:2");
  const auto first = a.Win();
  ASSERT_TRUE(first.ok());
  auto later = WinLater(b);
  a.Stop();
  ASSERT_TRUE(a.AwaitLoss().ok());
  // Until then it is a's.
  EXPECT_EQ(later.wait_for(2 * FileLockElection::kPoll), std::future_status::timeout);
  a.Release();
  const auto second = later.get();
  ASSERT_TRUE(second.ok());
  EXPECT_GT(*second, *first);
  EXPECT_EQ(a.Successor(), "b:2");
  EXPECT_EQ(a.leader(), "b:2");
}

TEST_F(FileLockElectionTest, WhoReleasesItIsNamedNoMoreAndItsTermStays) {
  const uint64_t future = TermOfNow() + 1'000'000'000'000;
  std::ofstream(path_) << future << " before:1\n";
  FileLockElection a(path_, "a:1");
  ASSERT_TRUE(a.Win().ok());
  a.Stop();
  ASSERT_TRUE(a.AwaitLoss().ok());
  a.Release();
  EXPECT_EQ(a.Successor(), "");
  EXPECT_EQ(a.leader(), "");
  FileLockElection b(path_, "b:2");
  EXPECT_EQ(*b.Win(), future + 2);
}

TEST_F(FileLockElectionTest, WhereThereIsNoFolderNobodyWins) {
  FileLockElection election(folder_ + "/missing/leader", "a:1");
  const auto won = election.Win();
  EXPECT_EQ(won.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(won.status().message().find("/missing/leader"), std::string::npos);
}

}  // namespace
}  // namespace weft::scheduler
