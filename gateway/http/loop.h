// One network thread: an io_context, the connections that live on it, and the
// list of those that somebody woke.
//
// Waking is what other threads do fifty thousand times a second, often many
// connections at one moment (a step's tokens): the list is locked briefly, and the
// thread is signalled once, however many wait in it.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

namespace weft::http {

class Connection;
class Loop;

// What a Waker holds. It may outlive both connection and server.
struct Mailbox {
  std::shared_ptr<Loop> loop;
  std::weak_ptr<Connection> connection;  // locked on the loop's thread only
  std::atomic<bool> queued{false};
};

class Loop {
 public:
  Loop();
  ~Loop();

  boost::asio::io_context& context() { return context_; }

  // Any thread. The connection starts on the loop's.
  void Adopt(std::shared_ptr<Connection> connection);
  void Wake(const std::shared_ptr<Mailbox>& mailbox);
  int num_connections() const { return num_connections_.load(std::memory_order_relaxed); }

  // On the loop's thread.
  void Remove(const std::shared_ptr<Connection>& connection);
  // Where a read lands that is looked at at once: idle connections own no buffer.
  std::vector<char>& scratch() { return scratch_; }
  bool draining() const { return draining_; }

  void Run();    // starts the thread
  void Drain();  // idle connections close; the others after the answer they are at
  void Stop();   // closes all and joins; wakes have no effect from then on

 private:
  void RunReady();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::atomic<int> num_connections_{0};
  std::vector<char> scratch_;
  bool draining_ = false;
  bool stopping_ = false;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Mailbox>> ready_;  // under mutex_
  bool closed_ = false;                          // under mutex_
  std::vector<std::shared_ptr<Mailbox>> running_;
};

}  // namespace weft::http
