#include "scheduler/core/prefix_index.h"

#include <bit>

#include "common/check.h"

namespace weft::core {

PrefixIndex::PrefixIndex(int num_blocks)
    : mask_(std::bit_ceil(2 * static_cast<size_t>(num_blocks)) - 1),
      table_(mask_ + 1, -1),
      hashes_(num_blocks),
      contains_(num_blocks, false) {}

int PrefixIndex::Find(const BlockHash& hash) const {
  for (size_t i = HomeOf(hash); table_[i] >= 0; i = (i + 1) & mask_) {
    if (hashes_[table_[i]] == hash) return table_[i];
  }
  return -1;
}

void PrefixIndex::Insert(const BlockHash& hash, int block) {
  WEFT_CHECK(!contains_[block]);
  size_t i = HomeOf(hash);
  for (; table_[i] >= 0; i = (i + 1) & mask_) WEFT_CHECK(!(hashes_[table_[i]] == hash));
  table_[i] = block;
  hashes_[block] = hash;
  contains_[block] = true;
  ++size_;
}

void PrefixIndex::Erase(int block) {
  WEFT_CHECK(contains_[block]);
  contains_[block] = false;
  --size_;
  size_t hole = HomeOf(hashes_[block]);
  while (table_[hole] != block) hole = (hole + 1) & mask_;
  // What stands behind the hole moves into it, unless that is before its home:
  //   home(x) in (hole, i]  ->  x stays
  for (size_t i = (hole + 1) & mask_; table_[i] >= 0; i = (i + 1) & mask_) {
    const size_t home = HomeOf(hashes_[table_[i]]);
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      table_[hole] = table_[i];
      hole = i;
    }
  }
  table_[hole] = -1;
}

}  // namespace weft::core
