#include "gateway/openai/chunks.h"

#include "gateway/openai/error.h"
#include "gateway/openai/format_parts.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

constexpr std::string_view kDone = "data: [DONE]\n\n";

}  // namespace

Chunks::Chunks(const AnswerHead& head, std::string_view object, const StreamOptions& options)
    : options_(options), opening_("data: ") {
  AppendHead(opening_, head, object);
}

void Chunks::Open(std::string& out, int index) const {
  out += opening_;
  out += "{\"index\":";
  AppendInt(out, index);
}

void Chunks::Close(std::string& out) const {
  out += "}]";
  if (options_.continuous_usage) {
    out += ",\"usage\":";
    AppendUsage(out,
                {.prompt_tokens = options_.prompt_tokens, .completion_tokens = completion_tokens_});
  } else if (options_.include_usage) {
    out += ",\"usage\":null";
  }
  out += "}\n\n";
}

void Chunks::Completed(std::string& out, const gateway::Usage& usage) {
  if (options_.include_usage) {
    out += opening_;
    out += "],\"usage\":";
    AppendUsage(out, usage);
    out += "}\n\n";
  }
  out += kDone;
}

void Chunks::Failed(std::string& out, const absl::Status& status) {
  out += "data: ";
  out += ErrorBody(status);
  out += "\n\n";
  out += kDone;
}

}  // namespace weft::openai
