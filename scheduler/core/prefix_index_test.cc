#include "scheduler/core/prefix_index.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace weft::core {
namespace {

constexpr uint64_t kKey[2] = {1, 2};

// One hash of four has the same home, so that probes run into each other and
// around the table's end.
BlockHash Crowded(uint64_t n) { return {.low = (n % 4 == 0) ? ~uint64_t{0} : n, .high = n}; }

RC_GTEST_PROP(PrefixIndex, AgreesWithAMap, ()) {
  constexpr int kNumBlocks = 24;
  PrefixIndex index(kNumBlocks);
  std::map<uint64_t, int> model;  // name to block
  for (int i = 0; i < 300; ++i) {
    const uint64_t name = *rc::gen::inRange(0, 32);
    const int block = *rc::gen::inRange(0, kNumBlocks);
    if (index.Contains(block)) {
      const uint64_t held = index.HashOf(block).high;
      RC_ASSERT(model.at(held) == block);
      index.Erase(block);
      model.erase(held);
    } else if (!model.contains(name)) {
      index.Insert(Crowded(name), block);
      model[name] = block;
    }
    RC_ASSERT(index.size() == static_cast<int>(model.size()));
    for (uint64_t n = 0; n < 32; ++n) {
      RC_ASSERT(index.Find(Crowded(n)) == (model.contains(n) ? model[n] : -1));
    }
  }
}

TEST(PrefixIndex, HoldsAsManyAsThereAreBlocks) {
  for (const int num_blocks : {1, 2, 3, 1000}) {
    PrefixIndex index(num_blocks);
    for (int block = 0; block < num_blocks; ++block) {
      index.Insert({.low = ~uint64_t{0} - block, .high = 0}, block);
    }
    EXPECT_EQ(index.size(), num_blocks);
    EXPECT_EQ(index.Find({.low = 0, .high = 1}), -1);
  }
}

// ---- block hashes ----

std::string Hex(const BlockHash& hash) {
  std::string hex;
  for (const uint64_t word : {hash.low, hash.high}) {
    for (int byte = 0; byte < 8; ++byte) {
      char digits[3];
      std::snprintf(digits, sizeof(digits), "%02x", static_cast<int>(word >> (8 * byte)) & 0xff);
      hex += digits;
    }
  }
  return hex;
}

// As `openssl mac -macopt size:16 SIPHASH` has them, key 00 01 .. 0f.
TEST(BlockHash, IsSipHash) {
  const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::vector<unsigned char> bytes;
  EXPECT_EQ(Hex(SipHash128(key, bytes)), "a3817f04ba25a8e66df67214c7550293");
  for (int i = 0; i < 80; ++i) bytes.push_back(static_cast<unsigned char>(i));
  EXPECT_EQ(Hex(SipHash128(key, bytes)), "d2c76ae17a4370f858fba4795a0df822");
}

TEST(BlockHash, TenantAndSaltDoNotRunTogether) {
  const BlockHasher hasher(kKey);
  EXPECT_NE(hasher.Root("ab", "c"), hasher.Root("a", "bc"));
  EXPECT_NE(hasher.Root("a", ""), hasher.Root("", "a"));
  EXPECT_EQ(hasher.Root("a", "b"), hasher.Root("a", "b"));
}

TEST(BlockHash, DependsOnEveryTokenOnWhatIsBeforeAndOnTheKey) {
  const BlockHasher hasher(kKey);
  const BlockHash root = hasher.Root("tenant", "");
  std::vector<TokenId> tokens(kBlockTokens, 7);
  const auto hash = [&](const BlockHasher& with, const BlockHash& parent) {
    return with.Block(parent, std::span<const TokenId, kBlockTokens>(tokens));
  };
  const BlockHash first = hash(hasher, root);
  EXPECT_NE(hash(hasher, first), first) << "the same tokens, further on";
  EXPECT_NE(hash(BlockHasher({1, 3}), root), first);
  for (TokenId& token : tokens) {
    token = 8;
    EXPECT_NE(hash(hasher, root), first);
    token = 7;
  }
}

}  // namespace
}  // namespace weft::core
