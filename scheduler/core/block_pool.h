// Who holds which block of one worker's KV memory.
//
//          Take                    Return (last owner)
//   free ───────► used ─────────────────────────────► free      not published
//    ▲             ▲ │  Publish: it enters the index   cached    published
//    │             │ └───────────────────────────────► used, findable by hash
//    │       Share │
//    └── (Take evicts the one unused for longest) ── cached
//
// A block is used while somebody owns it, cached while nobody does but the index
// knows it, free otherwise. used + cached + free = total, always. Every call
// costs the same whatever the pool's size.
#pragma once

#include <vector>

#include "scheduler/core/prefix_index.h"

namespace weft::core {

class BlockPool {
 public:
  explicit BlockPool(int num_blocks);

  int num_blocks() const { return static_cast<int>(blocks_.size()); }
  int num_free() const { return static_cast<int>(free_.size()); }
  int num_cached() const { return num_cached_; }
  int num_used() const { return num_blocks() - num_free() - num_cached(); }
  int num_available() const { return num_free() + num_cached(); }  // what Take can give
  int num_owners(int block) const { return blocks_[block].num_owners; }
  const PrefixIndex& index() const { return index_; }

  // A block with the caller as its one owner. Free ones first, then the cached
  // one unused for longest, which thereby leaves the index.
  // Precondition: num_available() > 0.
  [[nodiscard]] int Take();

  // One more owner of a published block, used or cached.
  void Share(int block);

  // One owner less. Its last owner's return makes it the newest cached block, or
  // free if it was never published.
  void Return(int block);

  // The block is full, computed and sound: from now on it can be found. False:
  // another block already holds the same, and this one stays unknown.
  // Precondition: it is used and not published.
  bool Publish(int block, const BlockHash& hash);

 private:
  struct Block {
    int num_owners = 0;
    int older = -1;  // while cached: neighbours in order of last use
    int newer = -1;
  };
  void Unlink(int block);

  std::vector<Block> blocks_;
  std::vector<int> free_;  // a stack: what was used last is warm
  PrefixIndex index_;
  int oldest_ = -1;  // of the cached ones
  int newest_ = -1;
  int num_cached_ = 0;
};

}  // namespace weft::core
