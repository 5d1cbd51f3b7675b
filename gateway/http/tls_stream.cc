#include "gateway/http/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cstring>

namespace weft::http {
namespace {

namespace asio = boost::asio;

// What one record carries of an answer's pieces. Of the thread: OpenSSL keeps what it has
// encrypted, not this.
std::array<char, TlsStream::kMaxRecord>& Plain() {
  thread_local std::array<char, TlsStream::kMaxRecord> plain;
  return plain;
}

size_t Gather(std::span<const std::string_view> pieces, size_t limit) {
  auto& plain = Plain();
  size_t size = 0;
  for (const std::string_view piece : pieces) {
    const size_t n = std::min(piece.size(), limit - size);
    if (n > 0) std::memcpy(plain.data() + size, piece.data(), n);
    size += n;
  }
  return size;
}

}  // namespace

TlsStream::TlsStream(SSL_CTX* context, int socket) : ssl_(SSL_new(context), SSL_free) {
  SSL_set_fd(ssl_.get(), socket);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

TlsStream::Handshake TlsStream::Shake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    wants_write_ = false;
    is_up_ = true;
    return Handshake::kDone;
  }
  const int cause = SSL_get_error(ssl_.get(), result);
  wants_write_ = cause == SSL_ERROR_WANT_WRITE;
  if (wants_write_ || cause == SSL_ERROR_WANT_READ) return Handshake::kAgain;
  const bool is_plain =
      cause == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
  return is_plain ? Handshake::kPlain : Handshake::kFailed;
}

size_t TlsStream::Read(std::span<char> room, Error& error) {
  wants_write_ = false;
  size_t size = 0;
  // OpenSSL takes from the socket one record at a time. With room for all of it nothing stays
  // in OpenSSL's hands, of which the socket would never tell.
  while (room.size() - size >= kMaxRecord) {
    ERR_clear_error();
    size_t n = 0;
    if (SSL_read_ex(ssl_.get(), room.data() + size, room.size() - size, &n) == 1) {
      size += n;
      continue;
    }
    if (size > 0) break;  // what is wrong is so the next time, too
    switch (SSL_get_error(ssl_.get(), 0)) {
      case SSL_ERROR_WANT_WRITE:
        wants_write_ = true;
        [[fallthrough]];
      case SSL_ERROR_WANT_READ:
        error = asio::error::would_block;
        break;
      case SSL_ERROR_ZERO_RETURN:
        error = asio::error::eof;
        break;
      default:
        is_up_ = false;
        error = asio::error::connection_reset;
    }
    break;
  }
  return size;
}

size_t TlsStream::Write(std::span<const std::string_view> pieces, Error& error) {
  const size_t size = Gather(pieces, num_blocked_ > 0 ? num_blocked_ : kMaxRecord);
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(ssl_.get(), Plain().data(), size, &written) == 1) {
    num_blocked_ = 0;
    return written;
  }
  if (SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_WRITE) {
    num_blocked_ = size;
    error = asio::error::would_block;
  } else {
    is_up_ = false;
    error = asio::error::connection_reset;
  }
  return 0;
}

void TlsStream::SayGoodbye() {
  if (!is_up_ || num_blocked_ > 0) return;
  is_up_ = false;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace weft::http
