#include "cli/bench/dataset.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/bench/json_text.h"
#include "common/json_fields.h"
#include "sim/pool/lengths.h"

namespace weft::bench {
namespace {

namespace json = boost::json;

constexpr const char* kForms =
    "no prompt; one is {\"prompt\": \"...\"}, {\"question\": \"...\"}, {\"messages\": [{\"role\": "
    "\"user\", \"content\": \"...\"}]} or {\"conversations\": [{\"from\": \"human\", \"value\": "
    "\"...\"}]}";

struct Message {
  std::string role;
  std::string content;
};

std::string OpenAiRole(const std::string& from) {
  if (from == "human") return "user";
  if (from == "gpt" || from == "chatgpt" || from == "bard" || from == "bing") return "assistant";
  return from;
}

std::string MessageJson(const Message& message) {
  return absl::StrCat("{\"role\":", Quoted(message.role), ",\"content\":", Quoted(message.content),
                      "}");
}

// Of a list of objects that name their fields so. Empty if it is none.
std::vector<Message> ReadMessages(const json::value& list, const char* role, const char* content) {
  if (!list.is_array()) return {};
  std::vector<Message> messages;
  for (const json::value& item : list.get_array()) {
    const json::object* const object = item.if_object();
    const json::value* const who = object ? object->if_contains(role) : nullptr;
    const json::value* const what = object ? object->if_contains(content) : nullptr;
    if (!who || !what || !who->is_string() || !what->is_string()) return {};
    messages.push_back(
        {OpenAiRole(std::string(who->get_string())), std::string(what->get_string())});
  }
  return messages;
}

std::vector<Message> ReadMessages(JsonFields& fields) {
  for (const char* name : {"prompt", "question", "problem"}) {
    if (fields.Has(name)) return {{"user", fields.String(name)}};
  }
  if (fields.Has("messages")) return ReadMessages(*fields.Find("messages"), "role", "content");
  if (fields.Has("conversations")) {
    return ReadMessages(*fields.Find("conversations"), "from", "value");
  }
  return {};
}

absl::StatusOr<Dataset::Entry> ReadEntry(JsonFields& fields) {
  std::vector<Message> messages = ReadMessages(fields);
  while (!messages.empty() && messages.back().role != "user") messages.pop_back();
  Dataset::Entry entry{.num_output_tokens =
                           static_cast<int>(fields.Int("output_tokens", {1, sim::kMaxLength}, 0))};
  if (!fields.status().ok()) return fields.status();
  if (messages.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(fields.source(), ": ", kForms));
  }
  if (messages.size() == 1) entry.prompt = Quoted(messages.front().content);
  for (const Message& message : messages) {
    absl::StrAppend(&entry.messages, entry.messages.empty() ? "" : ",", MessageJson(message));
  }
  return entry;
}

// The file's objects, each with the place where it stands.
absl::StatusOr<std::vector<std::pair<std::string, JsonFields>>> ReadObjects(
    const std::string& source, const std::string& text) {
  std::vector<std::pair<std::string, JsonFields>> objects;
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "[")) {
    boost::system::error_code error;
    json::value list = json::parse(text, error);
    if (error) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": no JSON list: ", error.message()));
    }
    for (json::value& item : list.get_array()) {
      const std::string place = absl::StrCat("entry ", objects.size() + 1);
      if (!item.is_object()) {
        return absl::InvalidArgumentError(absl::StrCat(source, " ", place, ": ", kForms));
      }
      objects.emplace_back(
          place, JsonFields(absl::StrCat(source, " ", place), std::move(item.get_object())));
    }
    return objects;
  }
  int line_number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const std::string place = absl::StrCat("line ", ++line_number);
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    auto fields = JsonFields::Parse(absl::StrCat(source, " ", place), line);
    if (!fields.ok()) return fields.status();
    objects.emplace_back(place, *std::move(fields));
  }
  return objects;
}

}  // namespace

absl::StatusOr<Dataset> Dataset::Parse(const std::string& source, const std::string& text) {
  auto objects = ReadObjects(source, text);
  if (!objects.ok()) return objects.status();
  Dataset dataset;
  for (auto& [place, fields] : *objects) {
    auto entry = ReadEntry(fields);
    if (!entry.ok()) return entry.status();
    if (entry->prompt.empty() && dataset.first_conversation_.empty()) {
      dataset.first_conversation_ = place;
    }
    dataset.entries_.push_back(*std::move(entry));
  }
  if (dataset.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(source, " line 1: ", kForms));
  }
  return dataset;
}

const Dataset::Entry& Dataset::at(int64_t index) const {
  const int64_t n = size();
  return entries_[static_cast<size_t>(((index % n) + n) % n)];
}

}  // namespace weft::bench
