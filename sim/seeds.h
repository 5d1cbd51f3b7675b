// The seeds that a simulation's test runs: --seeds=COUNT, or --seed=N for one again.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace weft::sim {

struct Seeds {
  uint64_t first = 1;
  int count = std::getenv("WEFT_SOAK") != nullptr ? 100'000 : 2'000;
};
inline Seeds seeds;

// Of a test's main.
inline int RunSeeds(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view flag = argv[i];
    const bool is_known =
        (absl::ConsumePrefix(&flag, "--seed=") && absl::SimpleAtoi(flag, &seeds.first) &&
         (seeds.count = 1)) ||
        (absl::ConsumePrefix(&flag, "--seeds=") && absl::SimpleAtoi(flag, &seeds.count));
    if (!is_known) {
      std::fprintf(stderr, "unknown flag %s: --seed=N or --seeds=COUNT\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}

}  // namespace weft::sim
