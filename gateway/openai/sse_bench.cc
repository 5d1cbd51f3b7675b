// What one streamed token costs in serializing: nanoseconds per chunk.
#include <chrono>
#include <cstdio>
#include <string>

#include "gateway/openai/format.h"

int main() {
  using weft::openai::Endpoint;
  constexpr int kNumChunks = 2'000'000;
  for (const Endpoint endpoint : {Endpoint::kChat, Endpoint::kCompletion}) {
    for (const bool usage : {false, true}) {
      const auto chunks = weft::openai::MakeAnswerWriter(
          {.endpoint = endpoint, .stream = true, .include_usage = usage, .continuous_usage = usage},
          {"chatcmpl-0123456789abcdef0123456789abcdef", 1'700'000'000, "weft-demo"},
          {.prompt_tokens = 512});
      weft::gateway::Delta delta{.content = " token\n", .num_tokens = 1};
      std::string out;
      size_t num_bytes = 0;
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < kNumChunks; ++i) {
        out.clear();
        chunks->Delta(out, delta);
        num_bytes += out.size();
      }
      const std::chrono::duration<double, std::nano> time =
          std::chrono::steady_clock::now() - begin;
      std::printf("%s%s: %.0f ns per chunk of %zu bytes\n",
                  endpoint == Endpoint::kChat ? "chat" : "completion",
                  usage ? ", continuous usage" : "", time.count() / kNumChunks,
                  num_bytes / kNumChunks);
    }
  }
}
