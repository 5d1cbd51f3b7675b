// Bytes of a connection to requests: whatever comes is a request, refused, or waits for
// more, and it does not matter how the bytes are cut.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/check.h"
#include "gateway/http/request_reader.h"
#include "tests/fuzz/input.h"

namespace weft::http {
namespace {

using State = RequestReader::State;

const HttpLimits kLimits{.max_uri = 200,
                         .max_head = 1000,
                         .max_headers = 10,
                         .max_body = 1000,
                         .max_chunks = 100,
                         .max_chunk_extension = 50};

struct Outcome {
  std::vector<HttpRequest> requests;
  bool refused = false;
};

void ExpectRequest(const HttpRequest& request) {
  WEFT_CHECK(!request.method.empty());
  WEFT_CHECK(request.body.size() <= kLimits.max_body);
  WEFT_CHECK(request.headers.size() <= static_cast<size_t>(kLimits.max_headers));
  for (const auto& [name, value] : request.headers) {
    WEFT_CHECK(!name.empty());
    for (const std::string& text : {name, value}) {
      WEFT_CHECK(text.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    }
  }
}

Outcome Read(std::string_view wire, size_t step) {
  RequestReader reader(kLimits);
  std::string inbox;
  Outcome outcome;
  while (!wire.empty()) {
    inbox += wire.substr(0, step);
    wire.remove_prefix(std::min(step, wire.size()));
    State state = reader.Advance(inbox);
    while (state == State::kDone) {
      outcome.requests.push_back(reader.TakeRequest());
      ExpectRequest(outcome.requests.back());
      reader.Reset();
      state = inbox.empty() ? State::kIdle : reader.Advance(inbox);
    }
    if (state == State::kRefused) {
      const HttpRefusal& refusal = reader.refusal();
      WEFT_CHECK(refusal.status >= 400 && refusal.status <= 505 && refusal.status != 500);
      WEFT_CHECK(!refusal.message.empty());
      outcome.refused = true;
      return outcome;
    }
  }
  return outcome;
}

}  // namespace
}  // namespace weft::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using weft::http::Read;
  weft::fuzz::Input input(data, size);
  const size_t step = 1 + input.Byte() % 16;
  const auto whole = Read(input.rest(), size + 1);
  const auto cut = Read(input.rest(), step);
  WEFT_CHECK(whole.refused == cut.refused);
  WEFT_CHECK(whole.requests.size() == cut.requests.size());
  for (size_t i = 0; i < whole.requests.size(); ++i) {
    WEFT_CHECK(whole.requests[i].path == cut.requests[i].path);
    WEFT_CHECK(whole.requests[i].headers == cut.requests[i].headers);
    WEFT_CHECK(whole.requests[i].body == cut.requests[i].body);
  }
  return 0;
}
