#include "scheduler/rpc/server.h"

#include <grpcpp/server.h>

#include <atomic>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "scheduler/rpc/debug_page.h"
#include "scheduler/rpc/gateway_stream.h"
#include "scheduler/rpc/worker_stream.h"

namespace weft::scheduler {
namespace {

// Peers close their side when told to; those that do not are cut after as long.
constexpr std::chrono::seconds kGoodbye{2};

grpc::Status NotOneOf(const char* role, const std::string& name) {
  return {grpc::StatusCode::PERMISSION_DENIED,
          absl::StrCat("this is for a ", role, ": the certificate must be named ", name)};
}

// A stream that is told who leads, or why it is not let in, and ends.
template <typename Up, typename Down>
class Refusal final : public grpc::ServerBidiReactor<Up, Down> {
 public:
  explicit Refusal(const std::string& leader) {
    frame_.mutable_not_leader()->set_address(leader);
    this->StartWriteAndFinish(&frame_, {}, grpc::Status::OK);
  }
  explicit Refusal(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }

 private:
  Down frame_;
};

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& server_options, SchedulerMetrics& scheduler_metrics,
       std::function<std::string()> who_leads)
      : options(server_options), metrics(scheduler_metrics), leader(std::move(who_leads)) {}

  const ServerOptions options;
  SchedulerMetrics& metrics;
  const std::function<std::string()> leader;
  std::unique_ptr<Loop> loop;
  uint64_t epoch = 0;
  std::atomic<Loop*> leading{nullptr};  // `loop`, once that and `epoch` are there
  std::atomic<uint64_t> next_id{1};

  class SessionService final : public v1::SchedulerService::CallbackService {
   public:
    explicit SessionService(Impl& impl) : impl_(impl) {}

    grpc::ServerBidiReactor<v1::GatewayFrame, v1::SchedulerFrame>* Session(
        grpc::CallbackServerContext* context) override {
      if (!PeerHasName(*context, impl_.options.gateway_name)) {
        return new Refusal<v1::GatewayFrame, v1::SchedulerFrame>(
            NotOneOf("gateway", impl_.options.gateway_name));
      }
      Loop* const loop = impl_.leading;
      if (loop == nullptr) {
        return new Refusal<v1::GatewayFrame, v1::SchedulerFrame>(impl_.leader());
      }
      return GatewayStream::Start(std::make_shared<GatewayStream>(
          context, *loop,
          GatewayStream::Options{.id = impl_.next_id++,
                                 .epoch = impl_.epoch,
                                 .max_outbox_bytes = impl_.options.max_outbox_bytes}));
    }

   private:
    Impl& impl_;
  } session_service{*this};

  class AttachService final : public v1::WorkerService::CallbackService {
   public:
    explicit AttachService(Impl& impl) : impl_(impl) {}

    grpc::ServerBidiReactor<v1::WorkerFrame, v1::WorkerCommand>* Attach(
        grpc::CallbackServerContext* context) override {
      if (!PeerHasName(*context, impl_.options.worker_name)) {
        return new Refusal<v1::WorkerFrame, v1::WorkerCommand>(
            NotOneOf("worker", impl_.options.worker_name));
      }
      Loop* const loop = impl_.leading;
      if (loop == nullptr) {
        return new Refusal<v1::WorkerFrame, v1::WorkerCommand>(impl_.leader());
      }
      return WorkerStream::Start(std::make_shared<WorkerStream>(
          context, *loop, WorkerStream::Options{.id = impl_.next_id++, .epoch = impl_.epoch}));
    }

   private:
    Impl& impl_;
  } attach_service{*this};

  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      SchedulerMetrics& metrics,
                                                      std::function<std::string()> leader) {
  auto impl = std::make_unique<Impl>(options, metrics, std::move(leader));
  grpc::ServerBuilder builder;
  ConfigurePeerServer(builder, options.address, &impl->port, options.tls);
  builder.RegisterService(&impl->session_service);
  builder.RegisterService(&impl->attach_service);
  impl->server = builder.BuildAndStart();
  if (!impl->server || impl->port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.address));
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { impl_->server->Shutdown(std::chrono::system_clock::now()); }

bool Server::leads() const { return impl_->leading != nullptr; }

int Server::port() const { return impl_->port; }

void Server::Lead(uint64_t epoch) {
  GroupOptions options = impl_->options.loop;
  options.epoch = impl_->epoch = epoch;
  impl_->loop = std::make_unique<Loop>(options, impl_->metrics);
  impl_->leading = impl_->loop.get();
  impl_->metrics.leader.Set(1);
}

absl::Status Server::Ready() const {
  const Loop* loop = impl_->leading;
  return loop == nullptr ? absl::OkStatus() : loop->Ready();
}

std::string Server::DebugState() const {
  Loop* loop = impl_->leading;
  if (loop == nullptr) {
    const std::string leader = impl_->leader();
    return absl::StrCat("stands by; ", leader.empty() ? "nobody leads yet" : leader + " leads",
                        "\n");
  }
  const auto facts = loop->Describe();
  return facts ? DebugPage(*facts) : "the scheduler's thread has not answered for a second\n";
}

void Server::HandOver(const std::string& leader) {
  impl_->leading = nullptr;
  impl_->metrics.leader.Set(0);
  impl_->loop->HandOver(leader);
  impl_->loop->AwaitDrained();
}

void Server::BeginDrain() {
  if (Loop* loop = impl_->leading; loop != nullptr) loop->Drain();
}

bool Server::IsDrained() const {
  const Loop* loop = impl_->leading;
  return loop == nullptr || loop->IsDrained();
}

int Server::num_gateways() const {
  const Loop* loop = impl_->leading;
  return loop == nullptr ? 0 : loop->num_gateways();
}

void Server::Drain() {
  BeginDrain();
  if (Loop* loop = impl_->leading; loop != nullptr) loop->AwaitDrained();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kGoodbye);
}

}  // namespace weft::scheduler
