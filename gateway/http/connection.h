// One client's TCP connection: requests one after the other (what a client
// pipelines waits), each answered through its Exchange. Lives on its loop's thread.
//
// A read is always outstanding, also while an answer is being made: that is how a
// client that leaves is noticed at once, whatever its request is waiting for.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/tracer.h"
#include "gateway/http/exchange.h"
#include "gateway/http/http_metrics.h"
#include "gateway/http/loop.h"
#include "gateway/http/request_reader.h"
#include "gateway/http/response_writer.h"
#include "gateway/http/tls_context.h"
#include "gateway/http/tls_stream.h"

namespace weft::http {

struct HttpOptions;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // What all connections of a server share; outlives them.
  struct Shared {
    const HttpOptions& options;
    const Handler& handler;
    HttpMetrics& metrics;
    const TlsContext* tls;  // null: plain
  };

  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<Loop> loop, const Shared& shared);

  void Start();
  void OnWake();
  void OnDrain();
  void Abort();  // closes at once; a running exchange counts as the client's leaving

 private:
  using Clock = std::chrono::steady_clock;
  using Error = boost::system::error_code;

  //               hands shaken  request read  refused    answered              client gone
  // kHandshaking  kReading      –             kRefusing  –                     kClosed
  // kReading      –             kAnswering    kRefusing  –                     kClosed
  // kAnswering    –             –             –          kReading, kLingering  kClosed
  // kRefusing     –             –             –          kLingering            kClosed
  // kLingering    –             –             –          –                     kClosed
  //
  // A deadline closes, but for a request that was begun: that is refused (408).
  enum class Phase { kHandshaking, kReading, kAnswering, kRefusing, kLingering, kClosed };

  void ArmRead();
  void OnReadReady(Error error);
  void Shake();
  size_t ReadSome(Error& error);   // into the loop's scratch
  size_t WriteSome(Error& error);  // of pieces_
  void ReadRequests();
  void Begin(HttpRequest request);
  void Drive();
  void CallExchange();
  // True if all is written; otherwise OnWritten follows.
  bool Write();
  void EndWriteWait();
  void OnWriteReady(Error error);
  void OnWritten();
  void FinishAnswer();
  void Refuse(const HttpRefusal& refusal);
  void Linger();
  void Close();
  void Record(int code);
  void RecordSpan(int code, Clock::duration duration);

  void SetDeadline(Clock::time_point deadline);
  void ClearDeadline() { deadline_ = Clock::time_point::max(); }
  void ArmTimer();
  void OnDeadline();
  void SetReadDeadline();

  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<TlsStream> tls_;  // null: plain
  boost::asio::steady_timer timer_;
  const std::shared_ptr<Loop> loop_;
  const Shared& shared_;
  const std::shared_ptr<Mailbox> mailbox_;

  Phase phase_ = Phase::kReading;
  bool read_armed_ = false;
  bool continue_sent_ = false;
  bool writing_ = false;  // a write waits for room in the socket
  Clock::time_point write_wait_began_;
  bool draining_ = false;
  std::string inbox_;  // read, not yet part of a request
  RequestReader reader_;
  ResponseWriter writer_;
  std::unique_ptr<Exchange> exchange_;
  std::string_view route_;
  std::string request_id_;
  std::string method_;
  Tracer::Begun trace_;
  Clock::time_point began_;  // the request's first byte
  Clock::time_point head_done_;
  size_t num_lingered_ = 0;

  ResponseWriter::Pieces pieces_;
  size_t num_stalled_bytes_ = 0;  // written since the stall deadline was set

  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point timer_at_ = Clock::time_point::max();
};

}  // namespace weft::http
