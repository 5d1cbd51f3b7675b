// TLS on a connection's own non-blocking socket: it reads and writes there itself, and says
// would_block where the socket would. So the connection waits for its socket in one way, with
// TLS or without. Lives on its loop's thread.
#pragma once

#include <array>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace weft::http {

class TlsStream {
 public:
  using Error = boost::system::error_code;

  // The socket outlives it, and is not closed by it. The context may be let go of. OpenSSL
  // writes as write(2) does: the process ignores SIGPIPE (common/shutdown.h).
  TlsStream(SSL_CTX* context, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;

  //  kAgain   would block: again once the socket is ready (see wants_write)
  //  kPlain   what comes is HTTP without TLS: the socket is untouched but for its first bytes
  enum class Handshake { kDone, kAgain, kPlain, kFailed };
  Handshake Shake();

  // Both as a socket's read_some and write_some. A read leaves nothing behind that the socket
  // does not know of; it needs room for a whole record, kMaxRecord. A write that would block is
  // tried again with at least the same bytes.
  static constexpr size_t kMaxRecord = 16 << 10;
  size_t Read(std::span<char> room, Error& error);
  size_t Write(std::span<const std::string_view> pieces, Error& error);

  // A handshake or read that would block does so because it has to write first.
  bool wants_write() const { return wants_write_; }

  // Says that nothing follows, if there is room for it.
  void SayGoodbye();

 private:
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool wants_write_ = false;
  bool is_up_ = false;      // shaken hands, and no error since
  size_t num_blocked_ = 0;  // bytes of the write that would block
};

}  // namespace weft::http
