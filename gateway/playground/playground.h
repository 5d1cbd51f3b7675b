// A page on which a person talks to the model, and what it loads: files that are
// part of the binary, the same for everybody and no secret.
//
//   GET /                     the page
//   GET /playground/<file>    its scripts, styles and fonts, and licenses.txt
//
// The page talks to the API as any other client. A strict content security policy
// keeps what a model writes from becoming script, and the page from asking any
// other host.
#pragma once

#include <string_view>

#include "gateway/http/message.h"

namespace weft::playground {

inline constexpr std::string_view kPage = "/";
inline constexpr std::string_view kFile = "/playground/{file}";

// kPage or kFile; empty if there is nothing of that path.
std::string_view FindRoute(std::string_view path);

// The answer to a GET or HEAD of a path that FindRoute knows: the file, gzipped for
// those who take that, or 304 for those who have it. Any thread.
http::HttpResponse Respond(const http::HttpRequest& request);

}  // namespace weft::playground
