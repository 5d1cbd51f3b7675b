#include "gateway/upstream/upstream.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "common/peer_addresses.h"
#include "weft/v1/scheduler.grpc.pb.h"

namespace weft::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One stream. Frames go out one at a time in the order of Send; frames that come
// in are handed to `on_frame`, the next only after NextFrame: a session that is
// behind slows its scheduler, whose frames then merge.
class Link final : public grpc::ClientBidiReactor<v1::GatewayFrame, v1::SchedulerFrame> {
 public:
  Link(const std::string& address, const PeerTls& tls,
       std::function<void(v1::SchedulerFrame)> on_frame, std::function<void(grpc::Status)> on_done)
      : stub_(v1::SchedulerService::NewStub(PeerChannel(address, tls))),
        on_frame_(std::move(on_frame)),
        on_done_(std::move(on_done)) {
    stub_->async()->Session(&context_, this);
    AddHold();  // writes and reads begin outside of reactions, too
    StartRead(&in_);
    StartCall();
  }

  void Send(std::deque<v1::GatewayFrame> frames) {
    std::lock_guard lock(mutex_);
    std::move(frames.begin(), frames.end(), std::back_inserter(waiting_));
    WriteNext();
  }

  void NextFrame() {
    std::lock_guard lock(mutex_);
    if (!closed_) StartRead(&in_);
  }

  void Cancel() {
    context_.TryCancel();
    // A read that is not outstanding cannot fail, and would not close.
    Close();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Close();
    on_frame_(std::move(in_));
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    is_writing_ = false;
    if (ok) WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    // The session's thread may destroy this link as soon as it is told.
    const auto on_done = std::move(on_done_);
    on_done(status);
  }

 private:
  void WriteNext() {
    if (closed_ || is_writing_ || waiting_.empty()) return;
    out_ = std::move(waiting_.front());
    waiting_.pop_front();
    is_writing_ = true;
    StartWrite(&out_);
  }

  void Close() {
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(closed_, true)) return;
    }
    RemoveHold();
  }

  grpc::ClientContext context_;
  const std::unique_ptr<v1::SchedulerService::Stub> stub_;
  const std::function<void(v1::SchedulerFrame)> on_frame_;
  std::function<void(grpc::Status)> on_done_;
  v1::SchedulerFrame in_;

  std::mutex mutex_;  // guards the rest
  std::deque<v1::GatewayFrame> waiting_;
  v1::GatewayFrame out_;
  bool is_writing_ = false;
  bool closed_ = false;
};

const char* CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    default:
      return "OTHER";
  }
}

}  // namespace

struct Upstream::Impl {
  Impl(UpstreamOptions given, Metrics& given_metrics)
      : options(std::move(given)),
        metrics(given_metrics),
        session(options.session),
        redial_after(options.first_redial),
        thread([this] { Run(); }) {
    // A counter that appears with its first event has no increase that a rule could see.
    for (const auto code : {grpc::StatusCode::OK, grpc::StatusCode::CANCELLED,
                            grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::UNKNOWN}) {
      EndedStreams(code);
    }
  }

  ~Impl() {
    Post([this] { stopping = true; });
    thread.join();
  }

  void Post(std::function<void()> task) {
    {
      std::lock_guard lock(mutex);
      inbox.push_back(std::move(task));
    }
    wake.notify_one();
  }

  // ---- the session's thread ----

  void Run() {
    while (true) {
      std::deque<std::function<void()>> tasks = WaitForTasks();
      for (auto& task : tasks) task();
      if (stopping) break;
      session.Tick(steady_clock::now());
      if (link && session.wants_new_link()) link->Cancel();
      if (link) link->Send(session.TakeOutgoing());
      if (!link && steady_clock::now() >= redial_at) Dial();
      std::lock_guard lock(mutex);
      state = session.state();
    }
    HangUp();
  }

  std::deque<std::function<void()>> WaitForTasks() {
    std::optional<MonotonicTime> until = session.NextWakeup();
    if (!link) until = until ? std::min(*until, redial_at) : redial_at;
    const auto has_task = [this] { return !inbox.empty(); };
    std::unique_lock lock(mutex);
    if (until) {
      wake.wait_until(lock, *until, has_task);
    } else {
      wake.wait(lock, has_task);
    }
    return std::exchange(inbox, {});
  }

  void Dial() {
    addresses.Redirect(session.TakeLeader());
    dialled = addresses.Next();
    dialled_at = steady_clock::now();
    session.LinkUp(dialled_at);
    link = std::make_unique<Link>(
        dialled, options.tls,
        [this](v1::SchedulerFrame frame) {
          Post([this, frame = std::move(frame)] { OnFrame(frame); });
        },
        [this](grpc::Status status) {
          Post([this, status = std::move(status)] { OnLinkDone(status); });
        });
    link->Send(session.TakeOutgoing());
  }

  void OnFrame(const v1::SchedulerFrame& frame) {
    if (!link) return;
    const bool was_welcomed = session.state().welcomed;
    session.Receive(frame, steady_clock::now());
    if (!was_welcomed && session.state().welcomed) {
      spdlog::info("session with the scheduler at {} is open", dialled);
      redial_after = options.first_redial;
      complained = false;
    }
    link->NextFrame();
  }

  void OnLinkDone(const grpc::Status& status) {
    const bool was_welcomed = session.state().welcomed;
    link.reset();
    const auto now = steady_clock::now();
    CountRpc(status, now);
    if (stopping) return;
    session.LinkDown(now);
    // Once per loss, not once per attempt.
    if (was_welcomed || !complained) {
      spdlog::warn("no session with the scheduler at {}: {}; {} open sequences wait", dialled,
                   status.error_message().empty() ? "it ended the stream" : status.error_message(),
                   session.num_open());
      complained = true;
    }
    redial_at = now + redial_after;
    redial_after = std::min(redial_after * 2, options.last_redial);
  }

  // The link's callbacks point here: wait for the last.
  void HangUp() {
    if (!link) return;
    link->Cancel();
    while (link) {
      std::deque<std::function<void()>> tasks;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return !inbox.empty(); });
        tasks = std::exchange(inbox, {});
      }
      for (auto& task : tasks) task();
    }
  }

  void CountRpc(const grpc::Status& status, MonotonicTime now) {
    EndedStreams(status.error_code()).Increment();
    session_seconds.Observe(std::chrono::duration<double>(now - dialled_at).count());
  }

  prometheus::Counter& EndedStreams(grpc::StatusCode code) {
    return metrics.Counter(
        "weft_gateway_upstream_rpc_total", "Streams to the scheduler that have ended",
        {{"model", options.model}, {"rpc", "Session"}, {"grpc_code", CodeName(code)}});
  }

  const UpstreamOptions options;
  Metrics& metrics;
  prometheus::Histogram& session_seconds = metrics.Histogram(
      "weft_gateway_upstream_rpc_duration_seconds", "How long streams to the scheduler lived",
      kDurationBuckets, {{"model", options.model}, {"rpc", "Session"}});
  std::atomic<SequenceId> next_id{1};

  std::mutex mutex;  // guards the three below
  std::condition_variable wake;
  std::deque<std::function<void()>> inbox;
  SchedulerState state;

  // The session's thread only.
  Session session;
  std::unique_ptr<Link> link;
  PeerAddresses addresses{options.address};
  std::string dialled;  // last
  MonotonicTime dialled_at;
  MonotonicTime redial_at = steady_clock::now();
  milliseconds redial_after;
  bool complained = false;
  bool stopping = false;

  std::thread thread;  // last: it uses all of the above
};

Upstream::Upstream(UpstreamOptions options, Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), metrics)) {}

Upstream::~Upstream() = default;

SequenceId Upstream::Open(Submission submission, std::shared_ptr<SequenceSink> sink) {
  const SequenceId id = impl_->next_id++;
  impl_->Post([impl = impl_.get(), id, submission = std::move(submission),
               sink = std::move(sink)]() mutable {
    impl->session.Open(id, std::move(submission), std::move(sink), steady_clock::now());
  });
  return id;
}

void Upstream::Cancel(SequenceId id) {
  impl_->Post([impl = impl_.get(), id] { impl->session.Cancel(id); });
}

void Upstream::Post(std::function<void()> task) { impl_->Post(std::move(task)); }

SchedulerState Upstream::state() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->state;
}

}  // namespace weft::gateway
