#include "cli/bench/server.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <functional>

#include "absl/strings/str_cat.h"
#include "cli/bench/sse_scanner.h"

namespace weft::bench {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;

// A server that takes longer for these is not one to load.
constexpr auto kPatience = std::chrono::seconds(10);

// Lets `start` begin one operation and waits for it: its error, or timed_out.
Error Wait(asio::io_context& context, tcp::socket& socket,
           const std::function<void(std::function<void(Error)>)>& start) {
  Error result = asio::error::timed_out;
  bool is_late = false;
  start([&](Error error) {
    if (!is_late) result = error;
  });
  context.restart();
  context.run_for(kPatience);
  is_late = true;
  if (result == asio::error::timed_out) {
    Error ignored;
    socket.close(ignored);
    context.restart();
    context.run();
  }
  return result;
}

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
  error = Wait(context, socket, [&](auto done) {
    asio::async_connect(socket, found, [&, done](Error failure, const tcp::endpoint& reached) {
      endpoint = reached;
      done(failure);
    });
  });
  if (error) return Unreachable(target, error);
  return endpoint;
}

absl::StatusOr<std::string> FirstModel(const tcp::endpoint& endpoint, const Target& target,
                                       const std::string& api_key) {
  const std::string path = absl::StrCat(target.base, "/v1/models");
  const auto fail = [&](const std::string& cause) {
    return absl::FailedPreconditionError(absl::StrCat("cannot learn the model's name from GET ",
                                                      path, ": ", cause, "; --model gives one"));
  };
  asio::io_context context;
  tcp::socket socket(context);
  Error error = Wait(context, socket, [&](auto done) { socket.async_connect(endpoint, done); });
  if (error) return fail(error.message());

  http::request<http::empty_body> request(http::verb::get, path, 11);
  request.set(http::field::host, target.authority);
  request.set(http::field::connection, "close");
  if (!api_key.empty()) request.set(http::field::authorization, "Bearer " + api_key);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> answer;
  error = Wait(context, socket, [&](auto done) {
    http::async_write(socket, request, [&, done](Error failure, size_t) {
      if (failure) return done(failure);
      http::async_read(socket, buffer, answer, [done](Error unread, size_t) { done(unread); });
    });
  });
  if (error) return fail(error.message());
  if (answer.result_int() != 200) {
    return fail(absl::StrCat("HTTP ", answer.result_int(), ", ", ErrorMessage(answer.body())));
  }
  try {
    const boost::json::value models = boost::json::parse(answer.body());
    const boost::json::string& id = models.at("data").at(0).at("id").as_string();
    return std::string(id.data(), id.size());
  } catch (const std::exception&) {
    return fail("the answer lists no model");
  }
}

}  // namespace weft::bench
