// The playground's files, as embed.py packed them. Sorted by path.
#pragma once

#include <span>
#include <string_view>

namespace weft::playground {

struct Asset {
  std::string_view path;  // below /playground/: "main.js", "lib/katex.css"
  std::string_view content_type;
  std::string_view hash;  // of the content, in hex
  std::string_view identity;
  std::string_view gzip;  // empty where compression gains nothing
};

std::span<const Asset> Assets();

}  // namespace weft::playground
