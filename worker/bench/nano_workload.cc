#include "worker/bench/nano_workload.h"

#include <array>
#include <bit>
#include <cstdint>

namespace weft::worker {
namespace {

// Python's random.Random(seed) as far as randint needs it: MT19937 initialized by an
// array of one word (Matsumoto and Nishimura, init_by_array), and rejection of what
// getrandbits gives beyond the range.
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed) {
    Init(19650218);
    int i = 1;
    for (int k = 0; k < kSize; ++k) {
      state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + seed;
      Next(i);
    }
    for (int k = 0; k < kSize - 1; ++k) {
      state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - i;
      Next(i);
    }
    state_[0] = 0x80000000u;
  }

  int RandInt(int low, int high) {
    const auto range = static_cast<uint32_t>(high - low + 1);
    const int bits = std::bit_width(range);
    uint32_t value;
    do {
      value = Word() >> (32 - bits);
    } while (value >= range);
    return low + static_cast<int>(value);
  }

 private:
  static constexpr int kSize = 624, kShift = 397;

  void Init(uint32_t seed) {
    state_[0] = seed;
    for (int i = 1; i < kSize; ++i) {
      state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    }
  }

  void Next(int& i) {
    if (++i < kSize) return;
    state_[0] = state_[kSize - 1];
    i = 1;
  }

  uint32_t Word() {
    if (next_ == kSize) {
      for (int i = 0; i < kSize; ++i) {
        const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
        state_[i] = state_[(i + kShift) % kSize] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
      }
      next_ = 0;
    }
    uint32_t y = state_[next_++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
  }

  std::array<uint32_t, kSize> state_;
  int next_ = kSize;
};

}  // namespace

std::vector<BenchSequence> NanoVllmWorkload() {
  constexpr int kNumSequences = 256, kShortest = 100, kLongest = 1024, kLargestId = 10000;
  PythonRandom random(0);
  std::vector<BenchSequence> sequences(kNumSequences);
  for (BenchSequence& sequence : sequences) {
    sequence.prompt.resize(random.RandInt(kShortest, kLongest));
    for (TokenId& id : sequence.prompt) id = random.RandInt(0, kLargestId);
  }
  for (int i = 0; i < kNumSequences; ++i) {
    sequences[i].num_output_tokens = random.RandInt(kShortest, kLongest);
    sequences[i].sampling = {.temperature = 0.6f, .seed = static_cast<uint64_t>(i)};
  }
  return sequences;
}

}  // namespace weft::worker
