// The identity of a full block: its tokens, everything before them, and whose
// they are. Two blocks with equal hashes are taken for equal, and their tokens
// are not compared: so the hash is SipHash-2-4 with 128 bits, keyed with what
// the process drew at random. To whoever does not know the key it is a random
// function; with 2^40 blocks ever hashed, any two of them collide with a
// probability below 2^-48.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "scheduler/core/types.h"

namespace weft::core {

struct BlockHash {
  uint64_t low = 0;
  uint64_t high = 0;

  bool operator==(const BlockHash&) const = default;

  // Already uniform: half of it is as good a bucket as any.
  template <typename H>
  friend H AbslHashValue(H h, const BlockHash& hash) {
    return H::combine(std::move(h), hash.low);
  }
};

class BlockHasher {
 public:
  explicit BlockHasher(const uint64_t (&key)[2]) : key_{key[0], key[1]} {}

  // Where a chain starts: no two pairs (tenant, salt) share one.
  BlockHash Root(std::string_view tenant, std::string_view salt) const;

  // `parent` is the hash of the block before, or the root.
  BlockHash Block(const BlockHash& parent, std::span<const TokenId, kBlockTokens> tokens) const;

 private:
  uint64_t key_[2];
};

// SipHash-2-4-128 of the reference implementation.
BlockHash SipHash128(const uint64_t (&key)[2], std::span<const unsigned char> bytes);

}  // namespace weft::core
