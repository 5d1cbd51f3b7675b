#include "cli/bench/connection.h"

#include <openssl/ssl.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

#include "absl/strings/str_cat.h"

namespace weft::bench {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

absl::StatusOr<std::shared_ptr<TlsClient>> NewTlsClient(const std::string& ca_file,
                                                        const std::string& host) {
  auto tls = std::make_shared<TlsClient>();
  tls->host = host;
  Connection::Error error;
  if (ca_file.empty()) {
    tls->context.set_default_verify_paths(error);
  } else {
    tls->context.load_verify_file(ca_file, error);
  }
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("--ca-file ", ca_file, ": no PEM file of certificates: ", error.message()));
  }
  tls->context.set_verify_mode(ssl::verify_peer);
  return tls;
}

Connection::Connection(asio::io_context& context, TlsClient* tls)
    : socket_(context.get_executor()) {
  if (tls == nullptr) return;
  tls_.emplace(socket_, tls->context);
  Error is_name, ignored;
  asio::ip::make_address(tls->host, is_name);
  if (is_name) SSL_set_tlsext_host_name(tls_->native_handle(), tls->host.c_str());
  tls_->set_verify_callback(ssl::host_name_verification(tls->host), ignored);
}

Connection::Error Connection::OnConnected(Error error) {
  if (error) return error;
  Error ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  return {};
}

size_t Connection::ReadSome(asio::mutable_buffer buffer, Error& error) {
  if (!tls_) return socket_.read_some(buffer, error);
  const size_t n = tls_->read_some(buffer, error);
  // HTTP says itself where an answer ends: many servers close without TLS's farewell.
  if (error == ssl::error::stream_truncated) error = asio::error::eof;
  return n;
}

void Connection::Close() {
  Error ignored;
  socket_.close(ignored);
}

}  // namespace weft::bench
