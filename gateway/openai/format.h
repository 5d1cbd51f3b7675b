// Events to the JSON that OpenAI's clients read: one object, or the chunks of a
// stream. Chat and completions differ in shape only.
//
// Chunks are written by hand into the connection's buffer, with all that is the
// same in every chunk of a stream made once: this runs for every token.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/inference/event.h"
#include "gateway/openai/request.h"

namespace weft::openai {

// What every object and chunk of one answer repeats.
struct AnswerHead {
  std::string id;  // "chatcmpl-..."
  int64_t created = 0;
  std::string model;
};

// What a stream carries besides text.
struct StreamOptions {
  bool include_usage = false;
  bool continuous_usage = false;
  int prompt_tokens = 0;  // for continuous_usage
};

// One choice of an answer that is sent whole.
struct CollectedChoice {
  std::string content;
  std::string reasoning;
  std::optional<std::vector<gateway::TokenLogprob>> logprobs;  // absent: not asked for
  // Of the choice's prompt; shared by the choices that have it in common.
  std::shared_ptr<const std::vector<gateway::PromptLogprob>> prompt_logprobs;
  gateway::ChoiceFinished finished;
};

// The frames of one event stream, appended to `out`. Indexes are the answer's.
class ChunkWriter {
 public:
  virtual ~ChunkWriter() = default;

  virtual void Delta(std::string& out, const gateway::Delta& delta) = 0;
  virtual void Finished(std::string& out, const gateway::ChoiceFinished& finished) = 0;
  void Usage(std::string& out, const gateway::Usage& usage) const;

 protected:
  ChunkWriter(const AnswerHead& head, std::string_view object, const StreamOptions& options);
  void Open(std::string& out, int index) const;  // up to and with the choice's index
  void Close(std::string& out) const;            // from behind the choice
  void Count(const gateway::Delta& delta) { completion_tokens_ += delta.num_tokens; }
  bool continuous_usage() const { return options_.continuous_usage; }

 private:
  const StreamOptions options_;
  std::string opening_;
  int completion_tokens_ = 0;
};

// `echo`: by choice, text that stands before the first generated one; may be empty.
std::unique_ptr<ChunkWriter> MakeChunkWriter(Endpoint endpoint, const AnswerHead& head,
                                             const StreamOptions& options, int num_choices,
                                             std::vector<std::string> echo);

// The choices' prompt logprobs stand before their own where there is an echo, and in a
// field of their own if `shows_prompt_logprobs`.
std::string WholeAnswer(Endpoint endpoint, const AnswerHead& head,
                        const std::vector<CollectedChoice>& choices, const gateway::Usage& usage,
                        const std::vector<std::string>& echo, bool shows_prompt_logprobs = false);

// The frame in which a stream that fails ends, before the last.
void AppendErrorFrame(std::string& out, const absl::Status& status);
// The last frame of every stream.
void AppendDone(std::string& out);

}  // namespace weft::openai
