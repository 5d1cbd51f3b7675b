// Bodies to requests: each is taken, or refused as the client's fault in words that are
// JSON; what is taken is judged by the middle in the same way.

#include <boost/json/parse.hpp>
#include <cstdint>
#include <string>

#include "common/check.h"
#include "gateway/inference/validate.h"
#include "gateway/openai/error.h"
#include "gateway/openai/request.h"
#include "tests/fuzz/input.h"

namespace weft::openai {
namespace {

// An error that a client gets: its own, and in a body that can be read.
void ExpectRefusal(const absl::Status& status) {
  WEFT_CHECK(status.code() == absl::StatusCode::kInvalidArgument ||
             status.code() == absl::StatusCode::kNotFound);
  WEFT_CHECK(status.message().size() < 10'000);
  const boost::json::value body = boost::json::parse(ErrorBody(status));
  WEFT_CHECK(!body.at("error").at("message").as_string().empty());
}

void Judge(const gateway::Request& request) {
  static const gateway::ModelDefaults model{.eos_token_ids = {1}};
  static const gateway::ModelLimits limits{
      .max_context_tokens = 4096, .kv_tokens = 4096, .vocab_size = 1000};
  const auto* chat = std::get_if<gateway::ChatPrompt>(&request.prompt);
  if (chat != nullptr) {
    if (const absl::Status status = gateway::ValidateChat(*chat); !status.ok()) {
      return ExpectRefusal(status);
    }
  }
  const auto options =
      gateway::ResolveOptions(request.options, chat != nullptr, model, limits, /*max_n=*/8);
  if (!options.ok()) return ExpectRefusal(options.status());
  WEFT_CHECK(options->n >= 1 && options->n <= 8);
  WEFT_CHECK(options->sampling.temperature >= 0);
  const auto length = gateway::FitLength(*options, 10, limits);
  if (!length.ok()) return ExpectRefusal(length.status());
  WEFT_CHECK(*length >= 1 && *length <= limits.max_context_tokens - 10);
}

void Generate(const absl::StatusOr<GenerationCall>& call) {
  if (!call.ok()) return ExpectRefusal(call.status());
  WEFT_CHECK(!call->requests.empty());
  for (const gateway::Request& request : call->requests) Judge(request);
}

}  // namespace
}  // namespace weft::openai

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::openai;
  weft::fuzz::Input input(data, size);
  switch (input.Byte()) {
    case 'h':
      Generate(ParseChat(input.rest()));
      break;
    case 'c':
      Generate(ParseCompletion(input.rest()));
      break;
    case 'r':
      Generate(ParseResponse(input.rest()));
      break;
    case 't': {
      const auto call = ParseTokenize(input.rest());
      if (!call.ok()) ExpectRefusal(call.status());
      break;
    }
    case 'd': {
      const auto call = ParseDetokenize(input.rest());
      if (!call.ok()) ExpectRefusal(call.status());
      break;
    }
    default:
      break;
  }
  return 0;
}
