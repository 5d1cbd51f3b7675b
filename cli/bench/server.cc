#include "cli/bench/server.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace weft::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

// A server that takes longer for this is not one to load.
constexpr auto kPatience = std::chrono::seconds(10);

absl::Status Unreachable(const Target& target, const Error& error) {
  return absl::UnavailableError(
      absl::StrCat("no server at ", target.host, " port ", target.port, ": ", error.message()));
}

}  // namespace

absl::StatusOr<tcp::endpoint> Reach(const Target& target) {
  asio::io_context context;
  tcp::socket socket(context);
  Error error;
  const auto found = tcp::resolver(context).resolve(target.host, target.port, error);
  if (error) return Unreachable(target, error);
  tcp::endpoint endpoint;
  error = asio::error::timed_out;
  asio::async_connect(socket, found, [&](Error failure, const tcp::endpoint& reached) {
    if (failure != asio::error::operation_aborted) error = failure;
    endpoint = reached;
  });
  context.run_for(kPatience);
  Error ignored;
  socket.close(ignored);
  context.restart();
  context.run();
  if (error) return Unreachable(target, error);
  return endpoint;
}

absl::StatusOr<std::string> FirstModel(const Target& target, const GetOptions& options) {
  const std::string url = target.Url("/v1/models");
  const auto fail = [&](std::string_view cause) {
    return absl::FailedPreconditionError(absl::StrCat("cannot learn the model's name from GET ",
                                                      url, ": ", std::string(cause),
                                                      "; --model gives one"));
  };
  const auto body = HttpGet(url, options);
  if (!body.ok()) return fail(std::string(body.status().message()));
  boost::system::error_code error;
  const boost::json::value models = boost::json::parse(*body, error);
  const boost::json::value* const id = error ? nullptr : models.find_pointer("/data/0/id", error);
  if (id == nullptr || !id->is_string()) return fail("the answer lists no model");
  return std::string(id->get_string());
}

}  // namespace weft::bench
