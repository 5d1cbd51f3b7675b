// One slot of the load: a connection that sends one request after another, or one turn of a
// conversation after another, and measures each. It stays open between them if the server
// lets it.
//
// Lives on one thread's io_context, and as long as an operation of its is open.
#pragma once

#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/answer_check.h"
#include "cli/bench/answer_parser.h"
#include "cli/bench/connection.h"
#include "cli/bench/dispatcher.h"
#include "cli/bench/sse_scanner.h"
#include "cli/bench/statistics.h"
#include "cli/bench/workload.h"

namespace weft::bench {

// What all clients share.
struct ClientShared {
  boost::asio::ip::tcp::endpoint endpoint;
  TlsClient* tls;  // nullptr: plain
  Clock::duration timeout;
  Dispatcher& dispatcher;
  bool has_schedule;    // latencies count from the dispatcher's times
  int64_t first_index;  // of the workload; the dispatcher counts from 0
  const Workload& workload;
  const AnswerCheck* check;         // nullptr: any answer is right
  std::function<void()> add_slot;   // another client, on some thread
  std::function<void()> slot_over;  // this client sends no more
};

// What the clients of one thread share.
struct ClientThread {
  boost::asio::io_context context{1};
  Measurements measured;
  std::atomic<int64_t> num_text_events = 0;                // so far, for whoever watches
  std::vector<char> buffer = std::vector<char>(64 << 10);  // a read is looked at at once
};

class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(ClientThread& thread, const ClientShared& shared);

  // On the thread's context. Sends what the dispatcher gives, until there is no more.
  void Start() { Next(); }

 private:
  using Error = boost::system::error_code;
  using Executor = boost::asio::io_context::executor_type;
  using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

  void Next();
  void Begin(Clock::time_point due);
  void SendTurn(Clock::time_point arrived);
  void Connect();
  void OnConnected(Error error);
  void Write();
  void ArmRead();
  void OnReadable(Error error);
  // False: the request is over, one way or the other.
  bool Take(std::string_view bytes);
  void OnEnd(Error error);
  void OnTimeout();
  void Measure(Clock::time_point now);

  // The answer is whole.
  void Finish();
  void Record(const Usage& usage, bool has_usage);
  void Fail(const std::string& kind, const std::string& example);
  void EndRequest();
  void Close();

  ClientThread& thread_;
  const ClientShared& shared_;
  // Handlers of one that was given up know another than this.
  std::shared_ptr<Connection> connection_;
  Timer timer_;       // waits for the ticket's time, then for the timeout
  int num_used_ = 0;  // answers that this connection has brought

  // The request under way:
  bool is_open_ = false;
  Dialogue dialogue_;
  std::string request_;
  std::string rest_;  // bytes of the answer that cannot be read without more
  std::optional<AnswerParser> parser_;
  SseScanner scanner_;
  bool has_bytes_ = false;
  Clock::time_point arrived_;
  Clock::time_point began_;
  std::optional<Clock::time_point> first_text_;
  Clock::time_point last_text_;
  Clock::time_point last_event_;
  int num_measured_text_ = 0;  // of the scanner's
  bool finish_was_measured_ = false;
};

}  // namespace weft::bench
