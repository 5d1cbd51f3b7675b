#include "cli/bench/client.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::bench {
namespace {

namespace asio = boost::asio;

double Milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

}  // namespace

Client::Client(ClientThread& thread, const ClientShared& shared)
    : thread_(thread),
      shared_(shared),
      timer_(thread.context.get_executor()),
      scanner_(/*keeps_text=*/shared.check != nullptr || shared.workload.has_conversations()) {}

// ---- sending ----

void Client::Next() {
  const std::optional<Dispatcher::Ticket> ticket = shared_.dispatcher.Take();
  if (!ticket) {
    Close();
    return shared_.slot_over();
  }
  dialogue_.index = shared_.first_index + ticket->index;
  dialogue_.turn = 0;
  shared_.workload.Write(dialogue_, request_);
  if (ticket->due <= Clock::now()) return Begin(ticket->due);
  timer_.expires_at(ticket->due);
  timer_.async_wait([self = shared_from_this(), due = ticket->due](Error) { self->Begin(due); });
}

void Client::Begin(Clock::time_point due) {
  if (shared_.dispatcher.Begin()) shared_.add_slot();
  SendTurn(shared_.has_schedule ? due : Clock::now());
}

void Client::SendTurn(Clock::time_point arrived) {
  is_open_ = true;
  scanner_.Reset();
  first_text_.reset();
  num_measured_text_ = 0;
  finish_was_measured_ = false;
  arrived_ = arrived;
  began_ = last_event_ = Clock::now();
  timer_.expires_at(began_ + shared_.timeout);
  timer_.async_wait([self = shared_from_this()](Error error) {
    if (!error) self->OnTimeout();
  });
  if (connection_ != nullptr) return Write();
  Connect();
}

void Client::Connect() {
  Close();
  num_used_ = 0;
  connection_ = std::make_shared<Connection>(thread_.context, shared_.tls);
  connection_->Connect(shared_.endpoint,
                       [self = shared_from_this(), connection = connection_](Error error) {
                         if (connection == self->connection_) self->OnConnected(error);
                       });
}

void Client::OnConnected(Error error) {
  if (error) return Fail("connect", error.message());
  Write();
}

void Client::Write() {
  rest_.clear();
  has_bytes_ = false;
  parser_.emplace(scanner_);
  connection_->Write(request_, [self = shared_from_this(), connection = connection_] {
    if (connection == self->connection_) self->ArmRead();
  });
}

// ---- receiving ----

void Client::ArmRead() {
  connection_->WaitReadable([self = shared_from_this(), connection = connection_](Error error) {
    if (connection == self->connection_) self->OnReadable(error);
  });
}

void Client::OnReadable(Error error) {
  std::vector<char>& buffer = thread_.buffer;
  while (!error) {
    const size_t n = connection_->ReadSome(asio::buffer(buffer), error);
    if (error == asio::error::would_block) return ArmRead();
    if (error) break;
    if (!Take({buffer.data(), n})) return;
    if (!connection_->MayHoldMore(n, buffer.size())) return ArmRead();
  }
  OnEnd(error);
}

bool Client::Take(std::string_view bytes) {
  const Clock::time_point now = Clock::now();
  has_bytes_ = true;
  if (!rest_.empty()) {
    rest_ += bytes;
    bytes = rest_;
  }
  Error error;
  const size_t num_read = parser_->Advance(bytes, error);
  Measure(now);
  if (error) {
    Fail("not HTTP", error.message());
    return false;
  }
  if (parser_->is_done()) {
    Finish();
    return false;
  }
  rest_ = std::string(bytes.substr(num_read));
  return true;
}

void Client::Measure(Clock::time_point now) {
  const int num_text = scanner_.num_text_events();
  const int num_new = num_text - num_measured_text_;
  if (num_new > 0) {  // nobody else writes it
    thread_.num_text_events.store(thread_.num_text_events.load(std::memory_order_relaxed) + num_new,
                                  std::memory_order_relaxed);
  }
  for (; num_measured_text_ < num_text; ++num_measured_text_) {
    if (!first_text_) {
      first_text_ = now;
    } else {
      thread_.measured.itl_ms.push_back(static_cast<float>(Milliseconds(now - last_text_)));
    }
    last_text_ = last_event_ = now;
  }
  if (scanner_.has_finish() && !std::exchange(finish_was_measured_, true)) last_event_ = now;
}

void Client::OnEnd(Error error) {
  // An idle connection that the server closed just as we used it.
  if (!has_bytes_ && num_used_ > 0) return Connect();
  if (error == asio::error::eof && has_bytes_) {
    Error unfinished;
    if (parser_->is_header_done()) parser_->put_eof(unfinished);
    if (parser_->is_done()) return Finish();
    return Fail("cut off", "the server closed the connection within an answer");
  }
  Fail(has_bytes_ ? "cut off" : "no answer",
       error == asio::error::eof ? "the server closed the connection" : error.message());
}

void Client::OnTimeout() {
  if (!is_open_ || Clock::now() < began_ + shared_.timeout) return;
  Fail("timeout", absl::StrCat("no end of the answer after ",
                               std::chrono::duration<double>(shared_.timeout).count(), " s"));
}

// ---- the end of a request ----

void Client::Finish() {
  ++num_used_;
  if (parser_->status() != 200) {
    const std::string message = ErrorMessage(parser_->body());
    const std::string kind = absl::StrCat("HTTP ", parser_->status());
    if (!parser_->keep_alive()) Close();
    thread_.measured.AddError(kind, message, Milliseconds(Clock::now() - began_));
    return EndRequest();
  }
  if (!scanner_.error().empty()) return Fail("error in the stream", scanner_.error());
  if (scanner_.num_events() == 0) {
    return Fail("no event stream",
                parser_->body().empty() ? "the answer is empty" : ErrorMessage(parser_->body()));
  }
  if (!scanner_.is_done()) return Fail("cut off", "the stream ended without [DONE]");

  const bool has_usage = scanner_.usage().has_value();
  const Usage usage = scanner_.usage().value_or(Usage{0, scanner_.num_text_events()});
  if (shared_.check != nullptr) {
    const absl::Status right = shared_.check->Check(dialogue_.index, dialogue_.num_asked_tokens,
                                                    scanner_.text(), usage.completion_tokens);
    if (!right.ok()) return Fail("wrong answer", std::string(right.message()));
  }
  Record(usage, has_usage);
  if (!parser_->keep_alive()) Close();
  if (!shared_.workload.Continue(dialogue_, scanner_.text(), usage.prompt_tokens,
                                 usage.completion_tokens)) {
    return EndRequest();
  }
  shared_.workload.Write(dialogue_, request_);
  asio::post(thread_.context, [self = shared_from_this()] { self->SendTurn(Clock::now()); });
}

void Client::Record(const Usage& usage, bool has_usage) {
  // Tokens may make no text: then the end is the first that comes of it.
  const Clock::time_point first = first_text_.value_or(last_event_);
  const int num_gaps = scanner_.num_text_events() - 1;
  thread_.measured.requests.push_back(
      {.ttft_ms = Milliseconds(first - arrived_),
       .e2e_ms = Milliseconds(last_event_ - arrived_),
       .mean_itl_ms = num_gaps > 0 ? Milliseconds(last_text_ - first) / num_gaps : 0,
       .late_ms = Milliseconds(began_ - arrived_),
       .num_prompt_tokens = usage.prompt_tokens,
       .num_output_tokens = usage.completion_tokens,
       .num_text_events = scanner_.num_text_events(),
       .has_usage = has_usage,
       .num_asked_tokens = dialogue_.num_asked_tokens,
       .num_prompt_ids = dialogue_.num_prompt_ids});
}

void Client::Fail(const std::string& kind, const std::string& example) {
  thread_.measured.AddError(kind, example, Milliseconds(Clock::now() - began_));
  Close();
  EndRequest();
}

void Client::EndRequest() {
  is_open_ = false;
  timer_.cancel();
  shared_.dispatcher.End();
  // Not called from here: a server that refuses at once would make a deep stack.
  asio::post(thread_.context, [self = shared_from_this()] { self->Next(); });
}

void Client::Close() {
  if (connection_ == nullptr) return;
  connection_->Close();
  connection_.reset();
}

}  // namespace weft::bench
