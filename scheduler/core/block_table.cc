#include "scheduler/core/block_table.h"

#include <utility>

#include "common/check.h"

namespace weft::core {

BlockTable::BlockTable(BlockTable&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), ids_(std::exchange(other.ids_, {})) {}

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this != &other) {
    BlockTable old(std::move(*this));  // returned when this scope ends
    pool_ = std::exchange(other.pool_, nullptr);
    ids_ = std::exchange(other.ids_, {});
  }
  return *this;
}

BlockTable::~BlockTable() {
  for (size_t i = ids_.size(); i > 0; --i) pool_->Return(ids_[i - 1]);
}

bool BlockTable::Grow(int num_blocks) {
  WEFT_CHECK(pool_ != nullptr);
  if (num_blocks > pool_->num_available()) return false;
  for (int i = 0; i < num_blocks; ++i) ids_.push_back(pool_->Take());
  return true;
}

void BlockTable::AppendShared(int block) {
  WEFT_CHECK(pool_ != nullptr);
  pool_->Share(block);
  ids_.push_back(block);
}

}  // namespace weft::core
