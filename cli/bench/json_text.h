// Text as JSON has it.
#pragma once

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <string>
#include <string_view>

namespace weft::bench {

// With its quotes.
inline std::string Quoted(std::string_view text) {
  return boost::json::serialize(
      boost::json::string(boost::json::string_view(text.data(), text.size())));
}

}  // namespace weft::bench
