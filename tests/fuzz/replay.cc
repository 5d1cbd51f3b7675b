// A fuzz target without libFuzzer, as a test: its seeds, then seeded mutations of them
// for WEFT_FUZZ_SECONDS (15). It knows nothing of coverage, and needs no other compiler:
// what `make soak` found with one stays found, for its findings become seeds.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::string;

constexpr int kMaxRuns = 200'000;
constexpr size_t kMaxBytes = 4096;

// What ran when the process died, for whoever has to look.
const Bytes* current = nullptr;

extern "C" void Dump(int signal) {
  constexpr char kText[] = "\nfuzz: died of this input, between the lines:\n----\n";
  [[maybe_unused]] ssize_t ignored = write(2, kText, sizeof kText - 1);
  if (current != nullptr) ignored = write(2, current->data(), current->size());
  ignored = write(2, "\n----\n", 6);
  std::signal(signal, SIG_DFL);
  raise(signal);
}

std::vector<Bytes> Seeds() {
  std::vector<Bytes> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(WEFT_FUZZ_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(seeds.begin(), seeds.end());  // a seed replays the same anywhere
  return seeds;
}

Bytes Mutated(const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  constexpr std::string_view kBytes("\0\x01\n\r \"'{}[]:,\\/<>|-+.019eunft\x7f\x80\xc3\xe2\xf0\xff",
                                    42);
  Bytes bytes = seeds[random() % seeds.size()];
  for (uint64_t edits = 1 + random() % 6; edits > 0; --edits) {
    const size_t at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 6) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.insert(at, 1, kBytes[random() % kBytes.size()]);
        break;
      case 2:
        bytes.erase(at, 1 + random() % 8);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % (bytes.size() + 1), random() % 40));
        break;
      case 4: {
        const Bytes& other = seeds[random() % seeds.size()];
        const size_t from = other.empty() ? 0 : random() % other.size();
        bytes.insert(at, other.substr(from, random() % 60));
        break;
      }
      default:
        bytes.resize(at);
    }
  }
  if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
  return bytes;
}

void RunOne(const Bytes& bytes) {
  current = &bytes;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  current = nullptr;
}

TEST(Fuzz, SeedsAndTheirMutationsHaveNoFinding) {
  const char* given = std::getenv("WEFT_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::fprintf(stderr, "replay with WEFT_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGILL}) std::signal(signal, Dump);
  const std::vector<Bytes> seeds = Seeds();
  ASSERT_FALSE(seeds.empty());
  for (const Bytes& bytes : seeds) RunOne(bytes);

  const char* seconds = std::getenv("WEFT_FUZZ_SECONDS");
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(seconds ? std::strtol(seconds, nullptr, 10) : 15);
  std::mt19937_64 random(seed);
  int runs = 0;
  for (; (seconds || runs < kMaxRuns) && std::chrono::steady_clock::now() < end; ++runs) {
    RunOne(Mutated(seeds, random));
  }
  RecordProperty("runs", runs);
  EXPECT_GT(runs, 0);
}

}  // namespace
