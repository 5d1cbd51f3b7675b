#include "gateway/playground/playground.h"

#include <algorithm>
#include <span>
#include <string>

#include "common/check.h"
#include "gateway/playground/assets.h"

namespace weft::playground {
namespace {

using http::HttpRequest;
using http::HttpResponse;

constexpr std::string_view kFolder = "/playground/";

// Nothing but our own files; no inline script or style; no HTML made from strings.
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

const Asset* Find(std::string_view path) {
  if (path == kPage) {
    path = "index.html";
  } else if (path.starts_with(kFolder)) {
    path.remove_prefix(kFolder.size());
  } else {
    return nullptr;
  }
  const std::span<const Asset> assets = Assets();
  const auto found = std::lower_bound(
      assets.begin(), assets.end(), path,
      [](const Asset& asset, std::string_view wanted) { return asset.path < wanted; });
  return found != assets.end() && found->path == path ? &*found : nullptr;
}

// The next of `list`'s items, which `separator` parts; it is taken off.
std::string_view TakeItem(std::string_view& list, char separator) {
  const std::string_view item = list.substr(0, list.find(separator));
  list.remove_prefix(std::min(item.size() + 1, list.size()));
  return http::TrimBlanks(item);
}

// "q=0", "q=0.000": the client would rather have nothing.
bool IsRefusal(std::string_view parameter) {
  if (!http::EqualsIgnoreCase(parameter.substr(0, 2), "q=")) return false;
  return parameter.find_first_not_of("0.", 2) == std::string_view::npos;
}

// By name or by "*", the name first. Who says nothing may not know it.
bool AcceptsGzip(std::string_view list) {
  bool accepts = false;
  while (!list.empty()) {
    std::string_view item = TakeItem(list, ',');
    const std::string_view coding = TakeItem(item, ';');
    const bool is_gzip = http::EqualsIgnoreCase(coding, "gzip");
    if (!is_gzip && coding != "*") continue;
    accepts = true;
    while (!item.empty()) accepts = accepts && !IsRefusal(TakeItem(item, ';'));
    if (is_gzip) break;
  }
  return accepts;
}

// If-None-Match compares weakly: a proxy may have marked our tag with W/.
bool Matches(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    std::string_view tag = TakeItem(list, ',');
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
  }
  return false;
}

}  // namespace

std::string_view FindRoute(std::string_view path) {
  if (Find(path) == nullptr) return {};
  return path == kPage ? kPage : kFile;
}

HttpResponse Respond(const HttpRequest& request) {
  const Asset* asset = Find(request.path);
  WEFT_CHECK(asset != nullptr);
  const bool is_gzip = !asset->gzip.empty() && AcceptsGzip(request.Header("accept-encoding"));
  // Each form of a file has its own tag.
  std::string etag = "\"";
  etag.append(asset->hash).append(is_gzip ? "-gzip\"" : "\"");

  HttpResponse response;
  response.headers = {
      {"ETag", etag},
      // Kept, but asked for each time: a new binary is a new page at once.
      {"Cache-Control", "no-cache"},
      {"Vary", "Accept-Encoding"},
      {"Content-Security-Policy", std::string(kContentSecurityPolicy)},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
  };
  if (Matches(request.Header("if-none-match"), etag)) {
    response.status = 304;
    return response;
  }
  if (is_gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.content_type = std::string(asset->content_type);
  response.body = std::string(is_gzip ? asset->gzip : asset->identity);
  return response;
}

}  // namespace weft::playground
