// Blocks, their owners, and what the index knows of them.
#include "scheduler/core/block_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "scheduler/core/block_table.h"

namespace weft::core {
namespace {

BlockHash Hash(uint64_t n) { return {.low = n, .high = ~n}; }

using Ids = std::vector<int>;
Ids IdsOf(const BlockTable& table) { return {table.ids().begin(), table.ids().end()}; }

TEST(BlockPool, EveryBlockIsFreeAtFirst) {
  BlockPool pool(4);
  EXPECT_EQ(pool.num_free(), 4);
  EXPECT_EQ(pool.num_available(), 4);
  EXPECT_EQ(pool.num_used(), 0);
}

TEST(BlockPool, AnUnpublishedBlockIsFreeAgainWhenReturned) {
  BlockPool pool(4);
  const int block = pool.Take();
  EXPECT_EQ(pool.num_used(), 1);
  pool.Return(block);
  EXPECT_EQ(pool.num_free(), 4);
  EXPECT_EQ(pool.num_cached(), 0);
}

TEST(BlockPool, APublishedBlockIsCachedUntilItsMemoryIsNeeded) {
  // 0:A  1:B, both returned; 2 and 3 are taken first.
  BlockPool pool(4);
  for (const uint64_t name : {'A', 'B'}) {
    const int block = pool.Take();
    EXPECT_TRUE(pool.Publish(block, Hash(name)));
    pool.Return(block);
  }
  EXPECT_EQ(pool.num_cached(), 2);
  EXPECT_EQ(pool.Take() + pool.Take(), 2 + 3);
  EXPECT_EQ(pool.index().Find(Hash('A')), 0);
  EXPECT_EQ(pool.Take(), 0) << "the one unused for longest";
  EXPECT_EQ(pool.index().Find(Hash('A')), -1);
  EXPECT_EQ(pool.index().Find(Hash('B')), 1);
}

TEST(BlockPool, SharingMakesABlockRecentlyUsed) {
  BlockPool pool(2);
  for (const uint64_t name : {'A', 'B'}) {
    const int block = pool.Take();
    pool.Publish(block, Hash(name));
  }
  pool.Return(0);
  pool.Return(1);
  pool.Share(0);
  EXPECT_EQ(pool.num_cached(), 1);
  pool.Return(0);
  EXPECT_EQ(pool.Take(), 1) << "B was used longer ago than A";
}

TEST(BlockPool, EvictionSparesOwnedBlocks) {
  // 0:A owned  1:B cached
  BlockPool pool(2);
  pool.Publish(pool.Take(), Hash('A'));
  pool.Publish(pool.Take(), Hash('B'));
  pool.Return(1);
  EXPECT_EQ(pool.Take(), 1);
  EXPECT_EQ(pool.num_available(), 0);
  EXPECT_EQ(pool.index().Find(Hash('A')), 0);
}

TEST(BlockPool, ASecondBlockWithTheSameTokensStaysUnknown) {
  BlockPool pool(2);
  EXPECT_TRUE(pool.Publish(pool.Take(), Hash('A')));
  const int twin = pool.Take();
  EXPECT_FALSE(pool.Publish(twin, Hash('A')));
  pool.Return(twin);
  EXPECT_EQ(pool.num_free(), 1);
  EXPECT_EQ(pool.index().Find(Hash('A')), 0);
}

TEST(BlockTable, GrowsAllOrNothing) {
  BlockPool pool(4);
  BlockTable table(pool);
  EXPECT_TRUE(table.Grow(3));
  EXPECT_FALSE(table.Grow(2));
  EXPECT_EQ(table.size(), 3);
  EXPECT_EQ(pool.num_free(), 1);
}

TEST(BlockTable, ItsEndReturnsWhatItOwns) {
  BlockPool pool(4);
  {
    BlockTable table(pool);
    ASSERT_TRUE(table.Grow(2));
    BlockTable moved(std::move(table));
    EXPECT_EQ(moved.size(), 2);
    EXPECT_EQ(table.size(), 0);
    table = std::move(moved);
    EXPECT_EQ(pool.num_used(), 2);
  }
  EXPECT_EQ(pool.num_free(), 4);
}

TEST(BlockTable, AssignmentReturnsWhatItHeld) {
  BlockPool pool(4);
  BlockTable table(pool);
  ASSERT_TRUE(table.Grow(3));
  table = BlockTable();
  EXPECT_EQ(pool.num_free(), 4);
}

TEST(BlockTable, APrefixOutlivesWhatWasBuiltOnIt) {
  // Table [0:A][1:B][2:C] is returned from its end, so C goes first.
  BlockPool pool(3);
  {
    BlockTable table(pool);
    ASSERT_TRUE(table.Grow(3));
    for (int i = 0; i < 3; ++i) table.Publish(i, Hash('A' + i));
  }
  EXPECT_EQ(pool.num_cached(), 3);
  BlockTable next(pool);
  ASSERT_TRUE(next.Grow(1));
  EXPECT_EQ(IdsOf(next), Ids({2}));
  EXPECT_EQ(pool.index().Find(Hash('B')), 1);
}

TEST(BlockTable, SharedBlocksHaveSeveralOwners) {
  BlockPool pool(2);
  BlockTable a(pool);
  ASSERT_TRUE(a.Grow(1));
  a.Publish(0, Hash('A'));
  BlockTable b(pool);
  b.AppendShared(0);
  EXPECT_EQ(pool.num_owners(0), 2);
  a = BlockTable();
  EXPECT_EQ(pool.num_used(), 1);
  b = BlockTable();
  EXPECT_EQ(pool.num_cached(), 1);
}

// The pool against a model that is slow and plain: owners in a map, cached
// blocks in a list. Names of blocks are drawn from few, so that they meet.
RC_GTEST_PROP(BlockPool, AgreesWithItsModel, ()) {
  const int num_blocks = *rc::gen::inRange(1, 12);
  BlockPool pool(num_blocks);
  std::map<int, int> owners;      // of used blocks
  std::map<int, uint64_t> names;  // of published blocks
  std::list<int> cached;          // oldest first
  const auto find = [&](uint64_t name) -> std::optional<int> {
    for (const auto& [block, it] : names) {
      if (it == name) return block;
    }
    return std::nullopt;
  };
  const auto pick_used = [&] {
    return std::next(owners.begin(), *rc::gen::inRange<int>(0, owners.size()))->first;
  };

  for (int i = 0; i < 200; ++i) {
    const uint64_t name = *rc::gen::inRange(0, 16);
    switch (*rc::gen::inRange(0, 4)) {
      case 0: {  // take
        if (pool.num_available() == 0) break;
        const bool evicts = pool.num_free() == 0;
        const int block = pool.Take();
        RC_ASSERT(!owners.contains(block));
        if (evicts) {
          RC_ASSERT(block == cached.front());
          cached.pop_front();
          names.erase(block);
        } else {
          RC_ASSERT(!names.contains(block));
        }
        owners[block] = 1;
        break;
      }
      case 1: {  // share by name
        const std::optional<int> block = find(name);
        RC_ASSERT(pool.index().Find(Hash(name)) == block.value_or(-1));
        if (!block.has_value()) break;
        pool.Share(*block);
        if (owners[*block]++ == 0) cached.remove(*block);
        break;
      }
      case 2: {  // return
        if (owners.empty()) break;
        const int block = pick_used();
        pool.Return(block);
        if (--owners[block] > 0) break;
        owners.erase(block);
        if (names.contains(block)) cached.push_back(block);
        break;
      }
      case 3: {  // publish
        if (owners.empty()) break;
        const int block = pick_used();
        if (names.contains(block)) break;
        RC_ASSERT(pool.Publish(block, Hash(name)) == !find(name).has_value());
        if (!find(name).has_value()) names[block] = name;
        break;
      }
    }
    RC_ASSERT(pool.num_used() == static_cast<int>(owners.size()));
    RC_ASSERT(pool.num_cached() == static_cast<int>(cached.size()));
    RC_ASSERT(pool.num_used() + pool.num_cached() + pool.num_free() == num_blocks);
    RC_ASSERT(pool.index().size() == static_cast<int>(names.size()));
  }
}

}  // namespace
}  // namespace weft::core
