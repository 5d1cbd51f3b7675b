#include "gateway/http/connection.h"

#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "gateway/http/server.h"

namespace weft::http {
namespace {

namespace asio = boost::asio;

// What a client may send ahead of its answer; then its bytes wait in the kernel.
constexpr size_t kMaxPipelined = 64 << 10;
// The stall clock starts anew after so much progress: a large answer over a slow
// line is no stall.
constexpr size_t kStallSlice = 64 << 10;
// Kept unsent in the kernel. More would hide a slow reader behind a full buffer.
constexpr int kMaxUnsent = 128 << 10;
// A connection closed with bytes unread is reset, and the answer with it: so what
// still comes is read and thrown away for a while.
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr size_t kMaxLingered = 8 << 20;
// Answers in a row before the thread's other connections have their turn.
constexpr int kRoundsInARow = 4;

// A client that vanished without a word (no FIN) is noticed in half a minute.
void SetSocketOptions(asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [fd = socket.native_handle()](int option, int value) {
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 15);
  set(TCP_KEEPINTVL, 5);
  set(TCP_KEEPCNT, 3);
  set(TCP_NOTSENT_LOWAT, kMaxUnsent);
}

// Fit to stand in a log line and in a header.
bool IsRequestId(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-_.:/+=@").find(c) != std::string_view::npos;
  });
}

// Empty where there is none, or several that may contradict each other.
std::string_view Traceparent(const HttpRequest& request) {
  std::string_view only;
  int count = 0;
  for (const auto& [name, value] : request.headers) {
    if (name == "traceparent" && ++count == 1) only = value;
  }
  return count == 1 ? only : std::string_view();
}

std::string NewRequestId() {
  thread_local std::mt19937_64 random((static_cast<uint64_t>(std::random_device{}()) << 32) ^
                                      std::random_device{}());
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad16), absl::Hex(random(), absl::kZeroPad16));
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<Loop> loop,
                       const Shared& shared)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      loop_(std::move(loop)),
      shared_(shared),
      mailbox_(std::make_shared<Mailbox>()),
      reader_(shared.options.limits),
      writer_(shared.options.common_headers) {}

void Connection::Start() {
  mailbox_->loop = loop_;
  mailbox_->connection = weak_from_this();
  draining_ = loop_->draining();
  SetSocketOptions(socket_);
  if (shared_.tls != nullptr) {
    tls_ = std::make_unique<TlsStream>(shared_.tls->current().get(), socket_.native_handle());
    phase_ = Phase::kHandshaking;
    began_ = Clock::now();
    SetDeadline(began_ + shared_.options.limits.head_timeout);
  } else {
    SetReadDeadline();
  }
  ArmRead();
}

void Connection::OnWake() {
  if (phase_ == Phase::kAnswering && !writing_) Drive();
}

void Connection::OnDrain() {
  draining_ = true;
  writer_.DisableKeepAlive();
  if (phase_ == Phase::kHandshaking) return Close();
  if (phase_ == Phase::kReading && reader_.state() == RequestReader::State::kIdle) Close();
}

void Connection::Abort() {
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kAnswering) Record(499);
  tls_.reset();  // without a goodbye: what was cut shall not look whole
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  Close();
}

// ---- reading ----

void Connection::ArmRead() {
  if (std::exchange(read_armed_, true)) return;
  const bool waits_for_room = tls_ && tls_->wants_write();
  socket_.async_wait(waits_for_room ? asio::socket_base::wait_write : asio::socket_base::wait_read,
                     [self = shared_from_this()](Error error) { self->OnReadReady(error); });
}

void Connection::Shake() {
  switch (tls_->Shake()) {
    case TlsStream::Handshake::kAgain:
      return ArmRead();
    case TlsStream::Handshake::kDone:
      phase_ = Phase::kReading;
      SetReadDeadline();
      return ArmRead();
    case TlsStream::Handshake::kPlain:
      shared_.metrics.handshakes_failed.Increment();
      tls_.reset();
      return Refuse({400, "this port speaks HTTPS: use https:// in the URL"});
    case TlsStream::Handshake::kFailed:
      shared_.metrics.handshakes_failed.Increment();
      return Close();
  }
}

size_t Connection::ReadSome(Error& error) {
  // What is thrown away need not be understood.
  if (tls_ && phase_ != Phase::kLingering && phase_ != Phase::kRefusing) {
    return tls_->Read(loop_->scratch(), error);
  }
  return socket_.read_some(asio::buffer(loop_->scratch()), error);
}

size_t Connection::WriteSome(Error& error) {
  if (tls_) return tls_->Write(pieces_, error);
  std::array<asio::const_buffer, std::tuple_size_v<ResponseWriter::Pieces>> buffers;
  for (size_t i = 0; i < pieces_.size(); ++i) buffers[i] = asio::buffer(pieces_[i]);
  return socket_.write_some(buffers, error);
}

void Connection::OnReadReady(Error error) {
  read_armed_ = false;
  if (phase_ == Phase::kClosed) return;
  if (!error && phase_ == Phase::kHandshaking) return Shake();
  size_t n = 0;
  if (!error) n = ReadSome(error);
  if (error == asio::error::would_block) return ArmRead();
  if (error) {  // the end of what the client sends is taken for its leaving
    if (phase_ == Phase::kAnswering) Record(499);
    return Close();
  }
  if (phase_ == Phase::kLingering || phase_ == Phase::kRefusing) {
    num_lingered_ += n;
    if (num_lingered_ > kMaxLingered) return Close();
    return ArmRead();
  }
  inbox_.append(loop_->scratch().data(), n);
  if (phase_ == Phase::kReading) return ReadRequests();
  if (inbox_.size() < kMaxPipelined) ArmRead();
}

void Connection::ReadRequests() {
  if (phase_ != Phase::kReading) return;
  const RequestReader::State before = reader_.state();
  const RequestReader::State state = reader_.Advance(inbox_);
  using State = RequestReader::State;
  if (before == State::kIdle && state != State::kIdle) began_ = Clock::now();
  if (before != State::kBody && state == State::kBody) head_done_ = Clock::now();
  switch (state) {
    case State::kDone: {
      HttpRequest request = reader_.TakeRequest();
      reader_.Reset();
      continue_sent_ = false;
      return Begin(std::move(request));
    }
    case State::kRefused:
      return Refuse(reader_.refusal());
    case State::kBody:
      if (reader_.expects_continue() && !std::exchange(continue_sent_, true) && inbox_.empty()) {
        // Nothing else is under way, so the socket has room for one line.
        Error error;
        pieces_ = {"HTTP/1.1 100 Continue\r\n\r\n"};
        WriteSome(error);
        if (error) return Close();
      }
      break;
    case State::kIdle:
    case State::kHead:
      break;
  }
  SetReadDeadline();
  ArmRead();
}

void Connection::SetReadDeadline() {
  const HttpLimits& limits = shared_.options.limits;
  switch (reader_.state()) {
    case RequestReader::State::kIdle:
      return SetDeadline(Clock::now() + limits.idle_timeout);
    case RequestReader::State::kHead:
      return SetDeadline(began_ + limits.head_timeout);
    default:
      return SetDeadline(
          std::min(head_done_ + limits.body_timeout, Clock::now() + limits.body_stall));
  }
}

// ---- answering ----

void Connection::Begin(HttpRequest request) {
  phase_ = Phase::kAnswering;
  ClearDeadline();
  const std::string_view id = request.Header("x-request-id");
  request.id = IsRequestId(id) ? std::string(id) : NewRequestId();
  request_id_ = request.id;
  method_ = request.method;
  trace_ = shared_.options.tracer->Begin(Traceparent(request));
  request.trace = trace_.context;
  const LogTrace log_trace(trace_.context);
  writer_.Reset(request, request.keep_alive && !draining_);
  route_ = kOtherRoute;
  try {
    Routed routed =
        shared_.handler(std::move(request), [mailbox = mailbox_] { mailbox->loop->Wake(mailbox); });
    exchange_ = std::move(routed.exchange);
    route_ = routed.route;
    writer_.SetHeaders(std::move(routed.headers));
  } catch (const std::exception& error) {
    spdlog::error("request {}: {}", request_id_, error.what());
    exchange_ = Answer(shared_.options.render_refusal({500, "internal error"}));
  }
  if (inbox_.size() < kMaxPipelined) ArmRead();
  Drive();
}

void Connection::CallExchange() {
  const LogTrace log_trace(trace_.context);
  try {
    exchange_->Advance(writer_);
  } catch (const std::exception& error) {
    spdlog::error("request {}: {}", request_id_, error.what());
    if (writer_.started()) return Abort();
    writer_.Reply(shared_.options.render_refusal({500, "internal error"}));
  }
  if (writer_.ended()) exchange_.reset();
}

void Connection::Drive() {
  for (int round = 0; round < kRoundsInARow; ++round) {
    CallExchange();
    if (phase_ == Phase::kClosed) return;
    if (!writer_.Collect(pieces_)) {
      if (writer_.ended()) FinishAnswer();
      return;
    }
    if (!Write()) return;
    if (writer_.ended()) return FinishAnswer();
  }
  loop_->Wake(mailbox_);
}

bool Connection::Write() {
  for (;;) {
    size_t size = 0;
    for (const std::string_view piece : pieces_) size += piece.size();
    if (size == 0) break;
    Error error;
    size_t n = WriteSome(error);
    if (error == asio::error::would_block) {
      const Clock::time_point now = Clock::now();
      if (!writing_) write_wait_began_ = now;
      if (!std::exchange(writing_, true) || num_stalled_bytes_ >= kStallSlice) {
        num_stalled_bytes_ = 0;
        SetDeadline(now + std::chrono::duration_cast<Clock::duration>(
                              std::chrono::duration<double>(shared_.options.stall_timeout_s)));
      }
      socket_.async_wait(asio::socket_base::wait_write,
                         [self = shared_from_this()](Error waited) { self->OnWriteReady(waited); });
      return false;
    }
    if (error) {
      if (phase_ == Phase::kAnswering) Record(499);
      Close();
      return false;
    }
    num_stalled_bytes_ += n;
    for (std::string_view& piece : pieces_) {
      const size_t taken = std::min(n, piece.size());
      piece.remove_prefix(taken);
      n -= taken;
    }
  }
  if (writing_) EndWriteWait();
  num_stalled_bytes_ = 0;
  writer_.Sent();
  return true;
}

void Connection::EndWriteWait() {
  writing_ = false;
  ClearDeadline();
  shared_.metrics.write_wait_seconds.Increment(
      std::chrono::duration<double>(Clock::now() - write_wait_began_).count());
}

void Connection::OnWriteReady(Error error) {
  if (phase_ == Phase::kClosed) return;
  if (error) {
    if (phase_ == Phase::kAnswering) Record(499);
    return Close();
  }
  if (Write()) OnWritten();
}

void Connection::OnWritten() {
  if (phase_ == Phase::kRefusing) return Linger();
  if (writer_.ended()) return FinishAnswer();
  Drive();
}

void Connection::FinishAnswer() {
  Record(writer_.status());
  exchange_.reset();
  if (!writer_.keeps_alive()) return Linger();
  phase_ = Phase::kReading;
  SetReadDeadline();
  if (inbox_.empty()) return ArmRead();
  // Not called from here: a client may have sent a thousand requests at once.
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->ReadRequests(); });
}

void Connection::Refuse(const HttpRefusal& refusal) {
  phase_ = Phase::kRefusing;
  route_ = kOtherRoute;
  request_id_ = NewRequestId();
  trace_ = {};
  HttpRequest none;
  none.id = request_id_;
  writer_.Reset(none, /*keep_alive=*/false);
  writer_.Reply(shared_.options.render_refusal(refusal));
  Record(refusal.status);
  ClearDeadline();
  writer_.Collect(pieces_);
  if (Write()) Linger();
}

// ---- the end ----

void Connection::Linger() {
  phase_ = Phase::kLingering;
  Error error;
  if (tls_) tls_->SayGoodbye();
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return Close();
  SetDeadline(Clock::now() + kLingerTime);
  ArmRead();
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  const auto self = shared_from_this();
  if (writing_) EndWriteWait();
  phase_ = Phase::kClosed;
  exchange_.reset();
  if (tls_) tls_->SayGoodbye();
  Error ignored;
  timer_.cancel();
  socket_.close(ignored);
  loop_->Remove(self);
}

void Connection::Record(int code) {
  const LogTrace log_trace(trace_.context);
  const auto duration = Clock::now() - began_;
  shared_.metrics.Record(route_, code, duration);
  spdlog::debug("request {}: {} {} in {:.1f} ms", request_id_, route_, code,
                std::chrono::duration<double, std::milli>(duration).count());
  RecordSpan(code, duration);
}

// As OpenTelemetry's conventions for HTTP servers have it.
void Connection::RecordSpan(int code, Clock::duration duration) {
  if (!shared_.options.tracer->records(trace_.context)) return;
  Span span{.name = absl::StrCat(method_, " ", std::string(route_)),
            .kind = Span::Kind::kServer,
            .context = trace_.context,
            .parent = trace_.parent,
            .begin_ns = UnixNanosAgo(duration),
            .end_ns = UnixNanos(),
            .attributes = {{"http.request.method", method_},
                           {"http.route", std::string(route_)},
                           {"http.response.status_code", int64_t{code}},
                           {"weft.request_id", request_id_}},
            .error = {}};
  if (code == 499) span.error = "the client left";
  if (code >= 500) span.error = std::string(ReasonPhrase(code));
  shared_.options.tracer->Record(std::move(span));
}

// ---- time ----

// A deadline moves far more often than it passes, so the timer is left alone as
// long as it rings early enough, and looks again then.
void Connection::SetDeadline(Clock::time_point deadline) {
  deadline_ = deadline;
  if (timer_at_ > deadline_) ArmTimer();
}

void Connection::ArmTimer() {
  timer_at_ = deadline_;
  timer_.expires_at(timer_at_);
  timer_.async_wait([self = shared_from_this()](Error error) {
    if (!error) self->OnDeadline();
  });
}

void Connection::OnDeadline() {
  if (phase_ == Phase::kClosed) return;
  timer_at_ = Clock::time_point::max();
  if (deadline_ == Clock::time_point::max()) return;
  if (Clock::now() < deadline_) return ArmTimer();
  const LogTrace log_trace(phase_ == Phase::kAnswering ? trace_.context : SpanContext());
  switch (phase_) {
    case Phase::kHandshaking:
      shared_.metrics.handshakes_failed.Increment();
      return Close();
    case Phase::kReading:
      if (reader_.state() == RequestReader::State::kIdle) return Close();
      return Refuse({408, "the request did not arrive in time"});
    case Phase::kAnswering:
      shared_.metrics.slow_clients_cut.Increment();
      spdlog::info("request {}: cut off, its client takes nothing of the answer", request_id_);
      return Abort();
    default:
      return Close();
  }
}

}  // namespace weft::http
