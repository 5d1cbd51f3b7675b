// One connection to the server, plain or TLS. What is read is waited for without a buffer
// of its own, so that a thread's connections share one.
//
// Lives on one thread's io_context. Handlers hold the connection by a shared_ptr: one that was
// given up dies with its last operation.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace weft::bench {

// What TLS connections have in common. Thread-safe once made.
struct TlsClient {
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_client};
  std::string host;  // that the certificate must name
};

// `ca_file`: PEM file of the authorities to trust; empty: SSL_CERT_FILE's, else the system's.
// Errors name the file.
absl::StatusOr<std::shared_ptr<TlsClient>> NewTlsClient(const std::string& ca_file,
                                                        const std::string& host);

class Connection {
 public:
  using Error = boost::system::error_code;

  // nullptr: plain.
  Connection(boost::asio::io_context& context, TlsClient* tls);

  // Handlers take an Error.
  template <typename Handler>
  void Connect(const boost::asio::ip::tcp::endpoint& endpoint, Handler handler) {
    socket_.async_connect(endpoint, [this, handler = std::move(handler)](Error error) mutable {
      if (error || !tls_) return handler(OnConnected(error));
      tls_->async_handshake(Tls::client,
                            [this, handler = std::move(handler)](Error refused) mutable {
                              handler(OnConnected(refused));
                            });
    });
  }
  // `bytes` stay until then. A server may answer and close before it has read all: whatever
  // went wrong, reading tells.
  template <typename Handler>
  void Write(std::string_view bytes, Handler handler) {
    const auto buffer = boost::asio::buffer(bytes.data(), bytes.size());
    auto done = [handler = std::move(handler)](Error, size_t) mutable { handler(); };
    if (tls_) {
      boost::asio::async_write(*tls_, buffer, std::move(done));
    } else {
      boost::asio::async_write(socket_, buffer, std::move(done));
    }
  }
  // Until there may be something to read.
  template <typename Handler>
  void WaitReadable(Handler handler) {
    socket_.async_wait(Socket::wait_read, std::move(handler));
  }

  // What has come, at once; would_block: nothing has.
  size_t ReadSome(boost::asio::mutable_buffer buffer, Error& error);
  // Whether more may have come than these `num_read` bytes of room for `size`. A record that is
  // decrypted is nothing to wait for.
  bool MayHoldMore(size_t num_read, size_t size) const { return tls_ || num_read == size; }

  void Close();

 private:
  using Executor = boost::asio::io_context::executor_type;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Tls = boost::asio::ssl::stream<Socket&>;

  Error OnConnected(Error error);

  Socket socket_;
  std::optional<Tls> tls_;
};

}  // namespace weft::bench
