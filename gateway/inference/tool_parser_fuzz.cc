// Calls of tools in any text: however it is cut the same comes out, what is no call is all
// there, and a call's first delta has its name.

#include <cstdint>
#include <string>
#include <vector>

#include "common/check.h"
#include "gateway/inference/tool_parser.h"
#include "tests/fuzz/input.h"

namespace weft::gateway {
namespace {

struct Parsed {
  std::string content;
  std::vector<std::string> names, arguments;
  bool operator==(const Parsed&) const = default;
};

void Take(const Delta& delta, Parsed& parsed) {
  parsed.content += delta.content;
  for (const ToolCallDelta& call : delta.tool_calls) {
    const auto num_calls = static_cast<int>(parsed.names.size());
    WEFT_CHECK(call.id.empty() == call.name.empty());
    WEFT_CHECK(call.call == (call.id.empty() ? num_calls - 1 : num_calls));
    if (!call.id.empty()) {
      parsed.names.push_back(call.name);
      parsed.arguments.emplace_back();
    }
    parsed.arguments.back() += call.arguments;
  }
}

Parsed Parse(const std::string& text, size_t piece, bool parallel) {
  ToolParser parser({.functions = {"add", "f"}, .parallel = parallel});
  Parsed parsed;
  for (size_t at = 0; at < text.size(); at += piece) {
    Delta delta;
    parser.Text(text.substr(at, piece), delta);
    Take(delta, parsed);
  }
  Delta last;
  parser.Finish(last);
  Take(last, parsed);
  WEFT_CHECK(parser.num_calls() == static_cast<int>(parsed.names.size()));
  WEFT_CHECK(parallel || parsed.names.size() <= 1 || !parser.is_done());
  return parsed;
}

void Run(fuzz::Input input) {
  const unsigned flags = input.Byte();
  const size_t piece = 1 + input.Byte() % 13;
  const std::string text(input.rest());
  const bool parallel = flags & 1;
  const Parsed whole = Parse(text, text.size() + 1, parallel);
  WEFT_CHECK(Parse(text, piece, parallel) == whole);
  if (whole.names.empty()) WEFT_CHECK(whole.content == text);
}

}  // namespace
}  // namespace weft::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::gateway::Run(weft::fuzz::Input(data, size));
  return 0;
}
