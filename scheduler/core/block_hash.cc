#include "scheduler/core/block_hash.h"

#include <bit>
#include <cstring>
#include <string>

namespace weft::core {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }

  uint64_t Squeeze() {
    for (int i = 0; i < 4; ++i) Round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

BlockHash SipHash128(const uint64_t (&key)[2], std::span<const unsigned char> bytes) {
  SipState state{.v0 = key[0] ^ 0x736f6d6570736575,
                 .v1 = key[1] ^ 0x646f72616e646f6d ^ 0xee,
                 .v2 = key[0] ^ 0x6c7967656e657261,
                 .v3 = key[1] ^ 0x7465646279746573};
  const size_t num_words = bytes.size() / 8;
  for (size_t i = 0; i < num_words; ++i) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + 8 * i, 8);
    state.Absorb(word);
  }
  uint64_t last = static_cast<uint64_t>(bytes.size()) << 56;
  if (bytes.size() % 8 != 0) {
    std::memcpy(&last, bytes.data() + 8 * num_words, bytes.size() % 8);
  }
  state.Absorb(last);

  BlockHash hash;
  state.v2 ^= 0xee;
  hash.low = state.Squeeze();
  state.v1 ^= 0xdd;
  hash.high = state.Squeeze();
  return hash;
}

BlockHash BlockHasher::Root(std::string_view tenant, std::string_view salt) const {
  // The length in front keeps ("ab", "c") apart from ("a", "bc").
  const uint64_t tenant_size = tenant.size();
  std::string bytes(reinterpret_cast<const char*>(&tenant_size), sizeof(tenant_size));
  bytes.append(tenant).append(salt);
  return SipHash128(key_, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

BlockHash BlockHasher::Block(const BlockHash& parent,
                             std::span<const TokenId, kBlockTokens> tokens) const {
  unsigned char bytes[sizeof(parent) + kBlockTokens * sizeof(TokenId)];
  std::memcpy(bytes, &parent, sizeof(parent));
  std::memcpy(bytes + sizeof(parent), tokens.data(), tokens.size_bytes());
  return SipHash128(key_, bytes);
}

}  // namespace weft::core
