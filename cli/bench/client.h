// One slot of the load: a connection that sends one request after another and
// measures each. It stays open between them if the server lets it.
//
// Lives on one thread's io_context, and as long as an operation of its is open.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cli/bench/answer_parser.h"
#include "cli/bench/dispatcher.h"
#include "cli/bench/sse_scanner.h"
#include "cli/bench/statistics.h"

namespace weft::bench {

// What all clients share.
struct ClientShared {
  boost::asio::ip::tcp::endpoint endpoint;
  Clock::duration timeout;
  Dispatcher& dispatcher;
  std::function<void(int index, std::string& out)> write_request;
  // Whether an answer's text and number of tokens are right; empty: anything is.
  std::function<absl::Status(int index, std::string_view text, int64_t num_tokens)> check;
  std::function<void()> add_slot;   // another client, on some thread
  std::function<void()> slot_over;  // this client sends no more
};

// What the clients of one thread share.
struct ClientThread {
  boost::asio::io_context context{1};
  Measurements measured;
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
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

  void Next();
  void Begin();
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
  void Fail(const std::string& kind, const std::string& example);
  void EndRequest();
  void Close();

  ClientThread& thread_;
  const ClientShared& shared_;
  Socket socket_;
  Timer timer_;           // waits for the ticket's time, then for the timeout
  int num_used_ = 0;      // answers that this connection has brought
  uint64_t attempt_ = 0;  // handlers of a connection that was given up know an older one

  // The request under way:
  bool is_open_ = false;
  int index_ = 0;
  std::string request_;
  std::string rest_;  // bytes of the answer that cannot be read without more
  std::optional<AnswerParser> parser_;
  SseScanner scanner_;
  bool has_bytes_ = false;
  Clock::time_point began_;
  std::optional<Clock::time_point> first_text_;
  Clock::time_point last_text_;
  Clock::time_point last_event_;
  int num_measured_text_ = 0;  // of the scanner's
  bool finish_was_measured_ = false;
};

}  // namespace weft::bench
