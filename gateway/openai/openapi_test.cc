// Whether the description says what is served: no more and no less.
#include "gateway/openai/openapi.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/version.h"
#include "gateway/openai/api.h"
#include "gateway/openai/request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using Names = std::set<std::string>;

const json::object& Document() {
  static const json::value document = json::parse(OpenApiDocument());
  return document.as_object();
}

const json::object& Schema(const std::string& name) {
  return Document().at("components").at("schemas").at(name).as_object();
}

// A schema's fields and those of all that it is made of; with `list` instead of
// properties the names in such a list.
void AddNames(const json::object& schema, Names& names) {
  if (const json::value* parts = schema.if_contains("allOf")) {
    for (const json::value& part : parts->as_array()) {
      const std::string ref(part.at("$ref").as_string());
      AddNames(Schema(ref.substr(ref.rfind('/') + 1)), names);
    }
  }
  if (const json::value* properties = schema.if_contains("properties")) {
    for (const auto& item : properties->as_object()) names.emplace(item.key());
  }
  for (const char* list : {"x-ignored", "x-refused"}) {
    const json::value* given = schema.if_contains(list);
    if (!given) continue;
    for (const json::value& name : given->as_array()) names.emplace(name.as_string());
  }
}

Names Described(const std::string& schema) {
  Names names;
  AddNames(Schema(schema), names);
  return names;
}

template <typename Parse>
Names Known(const Parse& parse) {
  FieldNames known;
  (void)parse("{}", &known);
  Names names(known.begin(), known.end());
  (void)parse(R"({"messages":[{"role":"user","content":"a"}]})", &known);
  names.insert(known.begin(), known.end());
  return names;
}

TEST(OpenApi, HasTheServersVersion) {
  EXPECT_EQ(Document().at("info").at("version").as_string(), std::string(kVersion));
}

TEST(OpenApi, DescribesEveryRouteAndNoOther) {
  Names described;
  for (const auto& item : Document().at("paths").as_object()) described.emplace(item.key());
  Names served;
  for (const std::string_view route : Routes()) served.emplace(route);
  EXPECT_EQ(described, served);
}

TEST(OpenApi, DescribesEveryFieldAndNoOther) {
  EXPECT_EQ(Described("ChatRequest"), Known(ParseChat));
  EXPECT_EQ(Described("CompletionRequest"), Known(ParseCompletion));
  EXPECT_EQ(Described("ResponseRequest"), Known(ParseResponse));
  EXPECT_EQ(Described("TokenizeRequest"), Known(ParseTokenize));
  EXPECT_EQ(Described("DetokenizeRequest"), Known(ParseDetokenize));
}

// What the description calls refused is, and what it calls ignored is not.
TEST(OpenApi, RefusedAndIgnoredAreTrue) {
  const auto param = [](const std::string& name) {
    const std::string value = name == "function_call" ? R"({"name":"f"})" : R"([{"a":1}])";
    const auto call = ParseChat(
        absl::StrCat(R"({"messages":[{"role":"user","content":"a"}],")", name, "\":", value, "}"));
    if (call.ok()) return std::string();
    return call.status().ToString();
  };
  for (const char* schema : {"Sampling", "Generation", "ChatRequest"}) {
    for (const json::value& name : Schema(schema).at("x-refused").as_array()) {
      EXPECT_THAT(param(std::string(name.as_string())),
                  ::testing::HasSubstr(absl::StrCat("'", std::string(name.as_string()), "'")));
    }
    for (const json::value& name : Schema(schema).at("x-ignored").as_array()) {
      EXPECT_EQ(param(std::string(name.as_string())), "") << name;
    }
  }
}

}  // namespace
}  // namespace weft::openai
