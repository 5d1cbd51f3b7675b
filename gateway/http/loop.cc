#include "gateway/http/loop.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "gateway/http/connection.h"

namespace weft::http {

Loop::Loop() : work_(context_.get_executor()), scratch_(64 << 10) {}
Loop::~Loop() = default;

void Loop::Run() {
  thread_ = std::thread([this] { context_.run(); });
}

void Loop::Wake(const std::shared_ptr<Mailbox>& mailbox) {
  if (mailbox->queued.exchange(true)) return;
  std::lock_guard lock(mutex_);
  if (closed_) return;
  ready_.push_back(mailbox);
  if (ready_.size() == 1) boost::asio::post(context_, [this] { RunReady(); });
}

void Loop::RunReady() {
  {
    std::lock_guard lock(mutex_);
    running_.swap(ready_);
  }
  for (const auto& mailbox : running_) {
    mailbox->queued.store(false);
    if (const auto connection = mailbox->connection.lock()) connection->OnWake();
  }
  running_.clear();
}

void Loop::Adopt(std::shared_ptr<Connection> connection) {
  num_connections_.fetch_add(1, std::memory_order_relaxed);
  boost::asio::post(context_, [this, connection = std::move(connection)] {
    if (stopping_) {  // accepted at the last moment
      num_connections_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    connections_.insert(connection);
    connection->Start();
  });
}

void Loop::Remove(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  num_connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Loop::Drain() {
  boost::asio::post(context_, [this] {
    draining_ = true;
    const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
    for (const auto& connection : all) connection->OnDrain();
  });
}

void Loop::Stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(context_, [this] {
    const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
    for (const auto& connection : all) connection->Abort();
    stopping_ = true;
    work_.reset();
  });
  thread_.join();
  std::lock_guard lock(mutex_);
  closed_ = true;
  ready_.clear();
}

}  // namespace weft::http
