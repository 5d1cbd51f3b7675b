#include "gateway/playground/playground.h"

#include <zlib.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gateway/playground/assets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::playground {
namespace {

using http::HttpRequest;
using http::HttpResponse;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string Header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

HttpResponse Get(std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) {
  HttpRequest request{.method = "GET", .path = std::move(path)};
  request.headers = std::move(headers);
  return Respond(request);
}

std::string Unzip(const std::string& zipped) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
  std::string text(4 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zipped.data()));
  stream.avail_in = static_cast<uInt>(zipped.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(Playground, HasAPageAndItsFilesAndNothingElse) {
  EXPECT_EQ(FindRoute("/"), kPage);
  EXPECT_EQ(FindRoute("/playground/main.js"), kFile);
  EXPECT_EQ(FindRoute("/playground/lib/fonts/KaTeX_Main-Regular.woff2"), kFile);
  for (const char* path : {"", "/index.html", "/playground", "/playground/", "/playground/nothing",
                           "/playground/../main.js", "/playground//main.js", "/playground/main.js/",
                           "/playground/main.jsx", "/v1/models", "//"}) {
    EXPECT_THAT(FindRoute(path), IsEmpty()) << path;
  }
}

TEST(Playground, EveryFileCanBeFetchedInBothForms) {
  size_t total = 0;
  for (const Asset& asset : Assets()) {
    SCOPED_TRACE(asset.path);
    const std::string path = "/playground/" + std::string(asset.path);
    ASSERT_EQ(FindRoute(path), kFile);
    const HttpResponse plain = Get(path);
    EXPECT_EQ(plain.status, 200);
    EXPECT_EQ(plain.body, asset.identity);
    EXPECT_THAT(plain.body, Not(IsEmpty()));
    EXPECT_EQ(Header(plain, "Content-Encoding"), "");
    const HttpResponse zipped = Get(path, {{"accept-encoding", "gzip, deflate, br, zstd"}});
    if (Header(zipped, "Content-Encoding") == "gzip") {
      EXPECT_LT(zipped.body.size(), plain.body.size());
      EXPECT_EQ(Unzip(zipped.body), plain.body);
      EXPECT_NE(Header(zipped, "ETag"), Header(plain, "ETag"));
    } else {
      EXPECT_EQ(zipped.body, plain.body);
    }
    total += asset.identity.size() + asset.gzip.size();
  }
  EXPECT_LE(total, 1 << 20) << "the binary grows by that much";
}

TEST(Playground, TypesFollowTheName) {
  EXPECT_EQ(Get("/").content_type, "text/html; charset=utf-8");
  EXPECT_EQ(Get("/playground/main.js").content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(Get("/playground/lib/katex.css").content_type, "text/css; charset=utf-8");
  EXPECT_EQ(Get("/playground/icon.svg").content_type, "image/svg+xml");
  EXPECT_EQ(Get("/playground/lib/fonts/KaTeX_Main-Regular.woff2").content_type, "font/woff2");
}

TEST(Playground, WhoHasAFileIsSpared) {
  const std::string tag = Header(Get("/"), "ETag");
  const std::string zipped_tag = Header(Get("/", {{"accept-encoding", "gzip"}}), "ETag");
  for (const std::string& known : {tag, "W/" + tag, "\"other\" , " + tag, std::string("*")}) {
    const HttpResponse response = Get("/", {{"if-none-match", known}});
    EXPECT_EQ(response.status, 304) << known;
    EXPECT_THAT(response.body, IsEmpty());
    EXPECT_EQ(Header(response, "ETag"), tag);
  }
  for (const std::string& other : {zipped_tag, std::string("\"other\""), tag.substr(1)}) {
    EXPECT_EQ(Get("/", {{"if-none-match", other}}).status, 200) << other;
  }
  EXPECT_EQ(Get("/", {{"if-none-match", zipped_tag}, {"accept-encoding", "gzip"}}).status, 304);
}

TEST(Playground, GzipIsForThoseWhoTakeIt) {
  const auto encoding = [](std::string accepted) {
    return Header(Get("/", {{"accept-encoding", std::move(accepted)}}), "Content-Encoding");
  };
  for (const char* yes : {"gzip", "GZIP", "br, gzip", "deflate,gzip;q=0.5", "*", "gzip ; q=1.0",
                          "*;q=0, gzip", "br;q=1.0, gzip;q=0.001"}) {
    EXPECT_EQ(encoding(yes), "gzip") << yes;
  }
  for (const char* no :
       {"", "identity", "gzip;q=0", "br", "gzip; q=0.0", "*, gzip;q=0", "xgzip", "*;q=0"}) {
    EXPECT_EQ(encoding(no), "") << no;
  }
}

TEST(Playground, EveryAnswerCarriesThePolicy) {
  for (const Asset& asset : Assets()) {
    const HttpResponse response = Get("/playground/" + std::string(asset.path));
    const std::string policy = Header(response, "Content-Security-Policy");
    EXPECT_THAT(policy, StartsWith("default-src 'none'; "));
    EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
    EXPECT_THAT(policy, Not(HasSubstr("http")));
    EXPECT_EQ(Header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(Header(response, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(Header(response, "Cache-Control"), "no-cache");
    EXPECT_EQ(Header(response, "Vary"), "Accept-Encoding");
  }
}

TEST(Playground, NoticesNameEveryPackage) {
  const std::string notices = Get("/playground/licenses.txt").body;
  for (const char* package :
       {"katex", "markdown-it", "entities", "linkify-it", "mdurl", "punycode.js", "uc.micro"}) {
    EXPECT_THAT(notices, HasSubstr(absl::StrCat("\n", package, " ")));
  }
  EXPECT_THAT(notices, HasSubstr("Permission is hereby granted"));
}

}  // namespace
}  // namespace weft::playground
