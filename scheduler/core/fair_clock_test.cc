#include "scheduler/core/fair_clock.h"

#include <gtest/gtest.h>

namespace weft::core {
namespace {

TEST(FairClock, ATenantsNextStartsWhereItsLastEnds) {
  FairClock clock;
  EXPECT_EQ(clock.Enter("a", 10, false), 0u);
  EXPECT_EQ(clock.Enter("a", 10, false), 10u);
  EXPECT_EQ(clock.Enter("b", 10, false), 0u);
}

TEST(FairClock, WhoComesLateOwesNothingAndGainsNothing) {
  FairClock clock;
  clock.Enter("a", 1000, false);
  clock.Advance(500);
  EXPECT_EQ(clock.Enter("b", 10, false), 500u) << "no credit for having been away";
  EXPECT_EQ(clock.Enter("b", 10, false), 510u);
}

TEST(FairClock, WhatResumesDoesNotQueueBehindItsTenant) {
  FairClock clock;
  clock.Enter("a", 1000, false);
  clock.Advance(20);
  EXPECT_EQ(clock.Enter("a", 10, true), 20u);
}

TEST(FairClock, ATenantWithoutSequencesIsForgotten) {
  FairClock clock;
  clock.Enter("a", 1000, false);
  clock.Leave("a");
  EXPECT_EQ(clock.Enter("a", 10, false), 0u);
}

TEST(FairClock, CountsATenantsSequences) {
  FairClock clock;
  EXPECT_EQ(clock.num_sequences("a"), 0);
  clock.Enter("a", 10, false);
  clock.Enter("a", 10, true);
  clock.Enter("b", 10, false);
  EXPECT_EQ(clock.num_sequences("a"), 2);
  clock.Leave("a");
  EXPECT_EQ(clock.num_sequences("a"), 1);
}

}  // namespace
}  // namespace weft::core
