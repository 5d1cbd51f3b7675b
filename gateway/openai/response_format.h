// A response: items of output, each the model's reasoning, a message or a call, and the
// typed events in which a stream tells of them:
//
//   response.created  response.in_progress
//   response.output_item.added                        for each item:
//     response.content_part.added                       reasoning, message
//     response.reasoning_text.delta ... .done           reasoning
//     response.output_text.delta ... .done              message
//     response.function_call_arguments.delta ... .done  call
//     response.content_part.done                        reasoning, message
//   response.output_item.done
//   response.completed, or .incomplete (max_output_tokens), or error and .failed
//
// One item is open at a time, and each event carries the next sequence_number. A
// response that is sent whole is the last event's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/openai/format.h"

namespace weft::openai {

class ResponseWriter : public AnswerWriter {
 public:
  // `repeated`: GenerationCall's.
  ResponseWriter(const AnswerHead& head, std::string repeated, bool is_stream);

  void Delta(std::string& out, const gateway::Delta& delta) override;
  void Finished(std::string& out, const gateway::ChoiceFinished& finished) override;
  void Completed(std::string& out, const gateway::Usage& usage) override;
  void Failed(std::string& out, const absl::Status& status) override;

 private:
  enum class Kind { kReasoning, kMessage, kCall };
  enum class Status { kInProgress, kCompleted, kIncomplete, kFailed };
  struct Item {
    Kind kind = Kind::kMessage;
    Status status = Status::kInProgress;
    std::string id;
    std::string text;  // a call's: its arguments
    std::vector<gateway::TokenLogprob> logprobs;
    std::string call_id;
    std::string name;
    int call = 0;  // ToolCallDelta's
  };

  static std::string_view Name(Status status);

  void Begin(std::string& out);
  // The open item if it is of that kind, or of that call; else a new one, the old one closed.
  Item& Open(std::string& out, Kind kind, const gateway::ToolCallDelta* call = nullptr);
  void Close(std::string& out, Status status);
  void AppendText(std::string& out, Kind kind, std::string_view text,
                  std::vector<gateway::TokenLogprob> logprobs);

  // One frame; `append` writes the members behind type and sequence_number.
  template <typename Append>
  void Event(std::string& out, std::string_view type, const Append& append);
  void ItemEvent(std::string& out, std::string_view type);
  void PartEvent(std::string& out, std::string_view type);
  // ,"item_id":...,"output_index":...,"content_index":0
  void AppendPlace(std::string& out) const;
  static void AppendPart(std::string& out, const Item& item);
  static void AppendItem(std::string& out, const Item& item);
  void AppendResponse(std::string& out, Status status, const gateway::Usage* usage,
                      const absl::Status& error = absl::OkStatus()) const;

  const AnswerHead head_;
  const std::string repeated_;
  const bool is_stream_;
  bool has_begun_ = false;
  int sequence_number_ = 0;
  std::vector<Item> items_;  // the last may be open
  Status status_ = Status::kCompleted;
};

}  // namespace weft::openai
