// The functions that a model may call, and which of them it must.
//
//   chat                                              responses
//   {"type":"function","function":{"name":"f",...}}   {"type":"function","name":"f",...}
//
// tool_choice is "none", "auto", "required", one function, or allowed_tools: those of
// the tools that the model may call, shown to it alone.
#pragma once

#include "gateway/inference/request.h"
#include "gateway/openai/fields.h"

namespace weft::openai {

enum class ToolForm { kNested, kFlat };  // chat's, responses'

// Reads "tools", "tool_choice" and "parallel_tool_calls". Tools of other types than
// function are refused: this server runs nothing by itself. Names are for Service::Start
// to judge.
void ReadTools(Fields& fields, ToolForm form, gateway::ToolOptions& out);

}  // namespace weft::openai
