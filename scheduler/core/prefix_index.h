// Which tokens a block holds: block hashes to the one block that is known to
// hold them. Who owns a block is the BlockPool's business.
//
// An open table of block ids, twice as wide as the pool, with linear probing and
// no tombstones: it never grows, so no step ever pays for a rehash.
#pragma once

#include <vector>

#include "scheduler/core/block_hash.h"

namespace weft::core {

class PrefixIndex {
 public:
  explicit PrefixIndex(int num_blocks);

  // The block that holds it; -1: none.
  int Find(const BlockHash& hash) const;
  bool Contains(int block) const { return contains_[block]; }
  const BlockHash& HashOf(int block) const { return hashes_[block]; }
  int size() const { return size_; }

  // Precondition: neither the hash nor the block is in the index.
  void Insert(const BlockHash& hash, int block);

  // Precondition: the block is in the index.
  void Erase(int block);

 private:
  size_t HomeOf(const BlockHash& hash) const { return hash.low & mask_; }

  size_t mask_;
  std::vector<int> table_;         // block ids; -1: empty
  std::vector<BlockHash> hashes_;  // by block
  std::vector<bool> contains_;     // by block
  int size_ = 0;
};

}  // namespace weft::core
