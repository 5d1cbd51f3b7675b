#include "gateway/openai/structured.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/openai/json_writer.h"

namespace weft::openai {
namespace {

namespace json = boost::json;
using gateway::Grammar;
using Kind = Grammar::Kind;

// Several fields write one grammar; the second that has something to say is refused.
class OneGrammar {
 public:
  OneGrammar(Fields& fields, std::optional<Grammar>& out) : fields_(fields), out_(out) {}

  void Set(std::string_view field, Grammar grammar) {
    if (!out_) {
      first_ = fields_.Path(field);
      out_ = std::move(grammar);
    } else {
      fields_.Fail(field, absl::StrCat("is one constraint more than '", first_,
                                       "': an answer can have but one"));
    }
  }

 private:
  Fields& fields_;
  std::optional<Grammar>& out_;
  std::string first_;
};

// A schema as an object, as true or false, or as its text.
std::optional<Grammar> ReadSchema(Fields& fields, std::string_view name) {
  const json::value* value = fields.Get(name);
  if (!value) return std::nullopt;
  if (const json::string* text = value->if_string()) {
    return Grammar{.kind = Kind::kJsonSchema, .text = {text->data(), text->size()}};
  }
  if (!value->is_object() && !value->is_bool()) {
    fields.Fail(name, absl::StrCat("must be a JSON schema, not ", std::string(KindName(*value))));
    return std::nullopt;
  }
  return Grammar{.kind = Kind::kJsonSchema, .text = json::serialize(*value)};
}

std::optional<Grammar> ReadText(Fields& fields, std::string_view name, Kind kind) {
  Grammar grammar{.kind = kind};
  fields.String(name, grammar.text);
  if (!fields.Get(name)) return std::nullopt;
  if (grammar.text.empty()) {
    fields.Fail(name, "must not be empty");
    return std::nullopt;
  }
  return grammar;
}

std::optional<Grammar> ReadChoice(Fields& fields, std::string_view name) {
  const json::value* value = fields.Get(name);
  if (!value) return std::nullopt;
  const json::array* list = value->if_array();
  bool are_strings = list && !list->empty();
  for (size_t i = 0; are_strings && i < list->size(); ++i) are_strings = (*list)[i].is_string();
  if (!are_strings) {
    fields.Fail(name, "must be an array of at least one string");
    return std::nullopt;
  }
  return Grammar{.kind = Kind::kChoice, .text = json::serialize(*list)};
}

std::optional<Grammar> ReadJsonObject(Fields& fields, std::string_view name) {
  bool is_object = false;
  fields.Bool(name, is_object);
  if (!is_object) return std::nullopt;
  return Grammar{.kind = Kind::kJsonObject};
}

// The constraints of one object, their names behind `prefix`.
struct Names {
  const char* json;
  const char* regex;
  const char* choice;
  const char* grammar;
  const char* json_object;
};

void ReadConstraints(Fields& fields, const Names& names, OneGrammar& out) {
  const auto take = [&](std::string_view name, std::optional<Grammar> grammar) {
    if (grammar) out.Set(name, *std::move(grammar));
  };
  take(names.json, ReadSchema(fields, names.json));
  take(names.regex, ReadText(fields, names.regex, Kind::kRegex));
  take(names.choice, ReadChoice(fields, names.choice));
  take(names.grammar, ReadText(fields, names.grammar, Kind::kGrammar));
  take(names.json_object, ReadJsonObject(fields, names.json_object));
}

void ReadStructuredOutputs(Fields& fields, OneGrammar& out) {
  const json::object* object = fields.Object("structured_outputs");
  if (!object) return;
  Fields inner(*object, fields.Path("structured_outputs."));
  std::optional<Grammar> grammar;
  OneGrammar one(inner, grammar);
  ReadConstraints(inner, {"json", "regex", "choice", "grammar", "json_object"}, one);
  for (const char* name : {"structural_tag", "whitespace_pattern", "disable_any_whitespace",
                           "disable_additional_properties"}) {
    inner.Unsupported(name);
  }
  inner.Ignore("disable_fallback");  // there is none
  fields.FailAs(inner.status());
  if (!fields.status().ok()) return;
  if (!grammar) {
    return fields.Fail("structured_outputs",
                       "must hold one of json, regex, choice, grammar and json_object");
  }
  out.Set("structured_outputs", *std::move(grammar));
}

}  // namespace

void ReadFormat(Fields& fields, std::string_view name, bool is_nested,
                std::optional<Grammar>& out) {
  const json::object* object = fields.Object(name);
  if (!object) return;
  const std::string path = absl::StrCat(fields.Path(name), ".");
  Fields format(*object, path);
  std::string type;
  format.String("type", type);
  if (type == "json_schema") {
    const json::object* inner = is_nested ? format.Object("json_schema") : object;
    if (!inner) {
      format.Fail("json_schema", "must be an object with a name and a schema");
      return fields.FailAs(format.status());
    }
    Fields schema(*inner, is_nested ? path + "json_schema." : path);
    std::string ignored;
    bool is_strict = true;  // enforced in any case
    schema.String("name", ignored);
    schema.String("description", ignored);
    schema.Bool("strict", is_strict);
    if (!schema.Get("schema")) schema.Fail("schema", "is missing");
    out = ReadSchema(schema, "schema");
    format.FailAs(schema.status());
  } else if (type == "json_object") {
    // llama.cpp's way to give a schema.
    out = ReadSchema(format, "schema");
    if (!out) out = Grammar{.kind = Kind::kJsonObject};
  } else if (type != "text") {
    format.Fail("type", "must be \"text\", \"json_object\" or \"json_schema\"");
  }
  fields.FailAs(format.status());
}

void ReadGrammar(Fields& fields, std::optional<Grammar>& out) {
  OneGrammar one(fields, out);
  std::optional<Grammar> format;
  ReadFormat(fields, "response_format", /*is_nested=*/true, format);
  if (format) one.Set("response_format", *std::move(format));
  ReadStructuredOutputs(fields, one);
  ReadConstraints(
      fields,
      {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_json_object"},
      one);
  if (auto schema = ReadSchema(fields, "json_schema")) one.Set("json_schema", *std::move(schema));
  if (auto grammar = ReadText(fields, "grammar", Kind::kGrammar)) {
    one.Set("grammar", *std::move(grammar));
  }
  fields.Unsupported("guided_whitespace_pattern");
  fields.Ignore("guided_decoding_backend");
}

}  // namespace weft::openai
