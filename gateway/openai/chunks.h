// The frames that chat's and completions' streams have in common:
//
//   data: {"id":...,"choices":[{"index":0,...}]}
//   data: {"id":...,"choices":[],"usage":{...}}        if asked for
//   data: [DONE]
//
// A stream that fails ends in data: {"error":{...}} and [DONE].
#pragma once

#include <string>
#include <string_view>

#include "gateway/openai/format.h"

namespace weft::openai {

// What a stream carries besides text.
struct StreamOptions {
  bool include_usage = false;
  bool continuous_usage = false;
  int prompt_tokens = 0;  // for continuous_usage
};

class Chunks : public AnswerWriter {
 public:
  void Completed(std::string& out, const gateway::Usage& usage) override;
  void Failed(std::string& out, const absl::Status& status) override;

 protected:
  Chunks(const AnswerHead& head, std::string_view object, const StreamOptions& options);
  void Open(std::string& out, int index) const;  // up to and with the choice's index
  void Close(std::string& out) const;            // from behind the choice
  void Count(const gateway::Delta& delta) { completion_tokens_ += delta.num_tokens; }
  bool continuous_usage() const { return options_.continuous_usage; }

 private:
  const StreamOptions options_;
  std::string opening_;
  int completion_tokens_ = 0;
};

}  // namespace weft::openai
