#include "scheduler/core/block_pool.h"

#include "common/check.h"

namespace weft::core {

BlockPool::BlockPool(int num_blocks) : blocks_(num_blocks), index_(num_blocks) {
  free_.reserve(num_blocks);
  for (int block = num_blocks - 1; block >= 0; --block) free_.push_back(block);
}

int BlockPool::Take() {
  int block;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else {
    block = oldest_;
    WEFT_CHECK(block >= 0);
    Unlink(block);
    index_.Erase(block);
  }
  blocks_[block].num_owners = 1;
  return block;
}

void BlockPool::Share(int block) {
  WEFT_CHECK(index_.Contains(block));
  if (blocks_[block].num_owners++ == 0) Unlink(block);
}

void BlockPool::Return(int block) {
  WEFT_CHECK(blocks_[block].num_owners > 0);
  if (--blocks_[block].num_owners > 0) return;
  if (!index_.Contains(block)) {
    free_.push_back(block);
    return;
  }
  blocks_[block].older = newest_;
  blocks_[block].newer = -1;
  (newest_ >= 0 ? blocks_[newest_].newer : oldest_) = block;
  newest_ = block;
  ++num_cached_;
}

bool BlockPool::Publish(int block, const BlockHash& hash) {
  WEFT_CHECK(blocks_[block].num_owners > 0);
  if (index_.Find(hash) >= 0) return false;
  index_.Insert(hash, block);
  return true;
}

void BlockPool::Unlink(int block) {
  const Block& it = blocks_[block];
  (it.older >= 0 ? blocks_[it.older].newer : oldest_) = it.newer;
  (it.newer >= 0 ? blocks_[it.newer].older : newest_) = it.older;
  --num_cached_;
}

}  // namespace weft::core
