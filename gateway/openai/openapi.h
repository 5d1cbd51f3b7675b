// The API's own description, OpenAPI 3.1: the text of openapi.json, which a test holds
// against the routes and against the fields that the readers know.
#pragma once

#include <string_view>

namespace weft::openai {

std::string_view OpenApiDocument();

}  // namespace weft::openai
