// The blocks of one sequence, in the order of its positions: position p lives in
// ids()[p / kBlockTokens]. Owns them; the destructor returns them, last block
// first, so that a prefix outlives what was built on it.
#pragma once

#include <span>
#include <vector>

#include "scheduler/core/block_pool.h"

namespace weft::core {

class BlockTable {
 public:
  BlockTable() = default;  // owns nothing and cannot grow
  explicit BlockTable(BlockPool& pool) : pool_(&pool) {}
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable();

  std::span<const int> ids() const { return ids_; }
  int size() const { return static_cast<int>(ids_.size()); }
  void Reserve(int num_blocks) { ids_.reserve(num_blocks); }

  // Appends fresh blocks. All or nothing: on false, table and pool are unchanged.
  [[nodiscard]] bool Grow(int num_blocks);

  // Appends a published block, which others may own too.
  void AppendShared(int block);

  // The block holds `hash` from now on; see BlockPool::Publish.
  void Publish(int position, const BlockHash& hash) { pool_->Publish(ids_[position], hash); }

 private:
  BlockPool* pool_ = nullptr;
  std::vector<int> ids_;
};

}  // namespace weft::core
