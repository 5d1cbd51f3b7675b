#include "cli/supervisor.h"

#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Ending kKilled = {.by_signal = true, .number = SIGKILL};
constexpr Ending kTerminated = {.by_signal = true, .number = SIGTERM};
constexpr Ending Code(int number) { return {.by_signal = false, .number = number}; }

// Does what the supervisor says to processes that exist by name only. Each call
// returns what was done, as words; reports stand apart, in `log`.
struct Fixture : ::testing::Test {
  // "worker", and "worker 1" of the second group.
  static std::string Name(Member member) {
    const char* tier = TierName(member.tier);
    return member.group == 0 ? std::string(tier) : absl::StrCat(tier, " ", member.group);
  }
  std::vector<std::string> Do(const Actions& actions) {
    std::vector<std::string> done;
    for (const Action& action : actions) {
      if (const auto* start = std::get_if<StartMember>(&action)) {
        done.push_back(absl::StrCat("start ", Name(start->member)));
      } else if (const auto* signal = std::get_if<SignalMember>(&action)) {
        done.push_back(
            absl::StrCat(signal->signal == SIGKILL ? "kill " : "stop ", Name(signal->member)));
      } else if (const auto* report = std::get_if<Report>(&action)) {
        log = report->text;
      } else if (const auto* finish = std::get_if<Finish>(&action)) {
        done.push_back(absl::StrCat("finish ", finish->exit_code));
      } else {
        done.push_back("announce");
      }
    }
    return done;
  }
  std::vector<std::string> Begin() { return Do(supervisor.Begin(now)); }
  std::vector<std::string> Ready(Member member) { return Do(supervisor.OnReady(member, now)); }
  std::vector<std::string> Ends(Member member, Ending ending) {
    return Do(supervisor.OnEnding(member, ending, now));
  }
  std::vector<std::string> Signal(int number) { return Do(supervisor.OnSignal(number, now)); }
  std::vector<std::string> After(Duration duration) {
    now += duration;
    return Do(supervisor.OnTime(now));
  }
  void BeginAndReady() {
    Begin();
    for (const Member member : Members(num_groups)) Ready(member);
  }
  // The pause before the worker that has just ended starts again.
  Duration Pause() {
    return std::chrono::duration_cast<Duration>(supervisor.Deadline().value() - now);
  }

  void Serve(std::vector<std::string> groups) {
    num_groups = static_cast<int>(groups.size());
    supervisor.~Supervisor();
    new (&supervisor) Supervisor(std::move(groups), Duration(30'000));
  }

  int num_groups = 1;
  Supervisor supervisor{{"model"}, Duration(30'000)};
  Time now = Time() + std::chrono::hours(1);
  std::string log;
};

using SupervisorTest = Fixture;

TEST_F(SupervisorTest, StartsTheSchedulerFirstAndAnnouncesOnceAllAreReady) {
  EXPECT_THAT(Begin(), ElementsAre("start scheduler", "start worker", "start gateway"));
  EXPECT_THAT(Ready(Tier::kGateway), IsEmpty());
  EXPECT_THAT(Ready(Tier::kScheduler), IsEmpty());
  EXPECT_THAT(Ready(Tier::kWorker), ElementsAre("announce"));
  EXPECT_THAT(Ready(Tier::kWorker), IsEmpty());
}

TEST_F(SupervisorTest, ADeadWorkerIsStartedAgainAfterAPause) {
  BeginAndReady();
  EXPECT_THAT(Ends(Tier::kWorker, kKilled), IsEmpty());
  EXPECT_THAT(log, HasSubstr("worker ended: killed by SIGKILL; it starts again in 0.2 s"));
  EXPECT_THAT(After(kFirstPause - Duration(1)), IsEmpty());
  EXPECT_THAT(After(Duration(1)), ElementsAre("start worker"));
  EXPECT_TRUE(supervisor.IsStarting(Tier::kWorker));
  EXPECT_THAT(Ready(Tier::kWorker), IsEmpty()) << "announced twice";
  EXPECT_EQ(supervisor.Deadline(), std::nullopt);
}

TEST_F(SupervisorTest, PausesDoubleUpToTheLongest) {
  BeginAndReady();
  std::vector<int64_t> pauses_ms;
  for (int i = 0; i < 8; ++i) {
    Ends(Tier::kWorker, Code(1));
    pauses_ms.push_back(Pause().count());
    ASSERT_THAT(After(Pause()), ElementsAre("start worker"));
  }
  EXPECT_THAT(pauses_ms, ElementsAre(200, 400, 800, 1600, 3200, 6400, 10'000, 10'000));
}

TEST_F(SupervisorTest, AWorkerThatWasHealthyForAWhileHasShortPausesAgain) {
  BeginAndReady();
  for (int i = 0; i < 4; ++i) {
    Ends(Tier::kWorker, kKilled);
    After(Pause());
    Ready(Tier::kWorker);
  }
  Ends(Tier::kWorker, kKilled);
  EXPECT_EQ(Pause(), Duration(3200)) << "ready, but not for long";
  After(Pause());
  Ready(Tier::kWorker);
  After(kHealthyAfter);
  Ends(Tier::kWorker, kKilled);
  EXPECT_EQ(Pause(), kFirstPause);
}

TEST_F(SupervisorTest, AWorkerThatHasNeverBeenReadyEndsTheWholeWithItsCause) {
  Begin();
  EXPECT_THAT(Ends(Tier::kWorker, Code(3)), ElementsAre("stop scheduler", "stop gateway"));
  EXPECT_THAT(log, HasSubstr("worker ended: exit code 3 before it was ready"));
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), IsEmpty());
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 3"));
}

TEST_F(SupervisorTest, ADeadGatewayOrSchedulerEndsTheWhole) {
  for (Tier tier : {Tier::kGateway, Tier::kScheduler}) {
    Serve({"model"});
    BeginAndReady();
    EXPECT_EQ(Ends(tier, {.by_signal = true, .number = SIGSEGV}).size(), 2);
    EXPECT_EQ(log, absl::StrCat(TierName(tier), " ended: killed by SIGSEGV"));
    Ends(Tier::kWorker, kTerminated);
    EXPECT_THAT(Ends(tier == Tier::kGateway ? Tier::kScheduler : Tier::kGateway, Code(0)),
                ElementsAre("finish 139"));
  }
}

TEST_F(SupervisorTest, AnExitCodeOfZeroThatNobodyAskedForIsAFailure) {
  BeginAndReady();
  Ends(Tier::kScheduler, Code(0));
  Ends(Tier::kWorker, Code(0));
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("finish 1"));
}

TEST_F(SupervisorTest, WhoeverDoesNotStopIsKilled) {
  BeginAndReady();
  Ends(Tier::kGateway, Code(1));
  EXPECT_THAT(After(kStopLimit - Duration(1)), IsEmpty());
  EXPECT_THAT(After(Duration(1)), ElementsAre("kill scheduler", "kill worker"));
  EXPECT_THAT(After(kStopLimit), IsEmpty()) << "killed twice";
  Ends(Tier::kScheduler, kKilled);
  EXPECT_THAT(Ends(Tier::kWorker, kKilled), ElementsAre("finish 1"));
}

TEST_F(SupervisorTest, DrainsTheGatewayThenTheWorkerThenTheScheduler) {
  BeginAndReady();
  EXPECT_THAT(Signal(SIGINT), ElementsAre("stop gateway"));
  EXPECT_THAT(After(Duration(29'000)), IsEmpty());
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("stop worker"));
  EXPECT_THAT(Ends(Tier::kWorker, Code(0)), ElementsAre("stop scheduler"));
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 0"));
}

TEST_F(SupervisorTest, ASecondSignalEndsAllAtOnce) {
  BeginAndReady();
  Signal(SIGINT);
  EXPECT_THAT(Signal(SIGINT),
              ElementsAre("kill scheduler", "kill worker", "kill gateway", "finish 130"));
  EXPECT_THAT(Ends(Tier::kGateway, kKilled), IsEmpty());
}

TEST_F(SupervisorTest, AWorkerThatDiesWhileStreamsEndIsStartedAgain) {
  BeginAndReady();
  Signal(SIGTERM);
  EXPECT_THAT(Ends(Tier::kWorker, kKilled), IsEmpty());
  EXPECT_THAT(After(kFirstPause), ElementsAre("start worker"));
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("stop worker"));
  EXPECT_THAT(Ends(Tier::kWorker, kTerminated), ElementsAre("stop scheduler"));
  EXPECT_THAT(Ends(Tier::kScheduler, kTerminated), ElementsAre("finish 0"));
}

TEST_F(SupervisorTest, AWorkerInItsPauseIsNotStartedForADrainedGateway) {
  BeginAndReady();
  Ends(Tier::kWorker, kKilled);
  EXPECT_THAT(Signal(SIGTERM), ElementsAre("stop gateway"));
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("stop scheduler"));
  EXPECT_THAT(After(kLongestPause), ElementsAre("kill scheduler"));
}

TEST_F(SupervisorTest, AGatewayThatDoesNotDrainIsKilledAndThatIsNoSuccess) {
  BeginAndReady();
  Signal(SIGTERM);
  EXPECT_THAT(After(Duration(30'000) + kDrainSlack), ElementsAre("kill gateway"));
  EXPECT_THAT(Ends(Tier::kGateway, kKilled), ElementsAre("stop worker"));
  Ends(Tier::kWorker, Code(0));
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 1"));
}

TEST_F(SupervisorTest, ACrashWhileStoppingIsToldAndIsNoSuccess) {
  BeginAndReady();
  Signal(SIGTERM);
  Ends(Tier::kGateway, {.by_signal = true, .number = SIGABRT});
  EXPECT_EQ(log, "gateway stopped: killed by SIGABRT");
  Ends(Tier::kWorker, Code(0));
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 134"));
}

TEST_F(SupervisorTest, AGatewayDrainedThroughItsAdminPortDrainsTheWhole) {
  BeginAndReady();
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("stop worker"));
  Ends(Tier::kWorker, Code(0));
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 0"));
}

TEST_F(SupervisorTest, AnExecutableThatCannotRunEndsTheWhole) {
  Begin();
  EXPECT_THAT(Do(supervisor.OnStartFailed(Tier::kWorker, "cannot start weft-worker", now)),
              ElementsAre("stop scheduler", "stop gateway"));
  EXPECT_EQ(log, "cannot start weft-worker");
}

TEST_F(SupervisorTest, ASignalWhileLoadingStopsAll) {
  Begin();
  EXPECT_THAT(Signal(SIGINT), ElementsAre("stop gateway"));
  EXPECT_THAT(Ends(Tier::kGateway, kTerminated), ElementsAre("stop worker"));
  EXPECT_THAT(Ends(Tier::kWorker, kTerminated), ElementsAre("stop scheduler"));
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 0"));
}

TEST_F(SupervisorTest, SeveralModelsHaveASchedulerAndAWorkerEach) {
  Serve({"a", "b"});
  const Member second_worker{Tier::kWorker, 1}, second_scheduler{Tier::kScheduler, 1};
  EXPECT_THAT(Begin(), ElementsAre("start scheduler", "start worker", "start scheduler 1",
                                   "start worker 1", "start gateway"));
  for (const Tier tier : {Tier::kGateway, Tier::kScheduler, Tier::kWorker}) Ready(tier);
  EXPECT_THAT(Ready(second_scheduler), IsEmpty());
  EXPECT_THAT(Ready(second_worker), ElementsAre("announce"));

  // Each worker has pauses of its own.
  for (int i = 0; i < 3; ++i) {
    Ends(second_worker, kKilled);
    EXPECT_THAT(log, HasSubstr("worker of b ended: killed by SIGKILL"));
    EXPECT_THAT(After(Pause()), ElementsAre("start worker 1"));
  }
  Ends(Tier::kWorker, kKilled);
  EXPECT_THAT(log, HasSubstr("worker of a ended"));
  EXPECT_EQ(Pause(), kFirstPause);
  EXPECT_THAT(After(Pause()), ElementsAre("start worker"));

  EXPECT_THAT(Signal(SIGTERM), ElementsAre("stop gateway"));
  EXPECT_THAT(Ends(Tier::kGateway, Code(0)), ElementsAre("stop worker", "stop worker 1"));
  EXPECT_THAT(Ends(Tier::kWorker, Code(0)), IsEmpty());
  EXPECT_THAT(Ends(second_worker, Code(0)), ElementsAre("stop scheduler", "stop scheduler 1"));
  EXPECT_THAT(Ends(second_scheduler, Code(0)), IsEmpty());
  EXPECT_THAT(Ends(Tier::kScheduler, Code(0)), ElementsAre("finish 0"));
}

TEST_F(SupervisorTest, AModelWithoutSchedulerEndsTheWhole) {
  Serve({"a", "b"});
  BeginAndReady();
  EXPECT_THAT(Ends({Tier::kScheduler, 1}, Code(3)),
              ElementsAre("stop scheduler", "stop worker", "stop worker 1", "stop gateway"));
  EXPECT_THAT(log, HasSubstr("scheduler of b ended: exit code 3"));
}

TEST(Ending, IsDescribedByName) {
  EXPECT_EQ(kKilled.Describe(), "killed by SIGKILL");
  EXPECT_EQ(Code(2).Describe(), "exit code 2");
}

}  // namespace
}  // namespace weft::cli
