// The server under load, before the load: is it there, and what does it serve?
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "cli/bench/http_get.h"
#include "cli/bench/target.h"

namespace weft::bench {

// The address that takes a connection. Unavailable says why none does.
absl::StatusOr<boost::asio::ip::tcp::endpoint> Reach(const Target& target);

// The first name of /v1/models.
absl::StatusOr<std::string> FirstModel(const Target& target, const GetOptions& options);

}  // namespace weft::bench
