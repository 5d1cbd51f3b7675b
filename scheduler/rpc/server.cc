#include "scheduler/rpc/server.h"

#include <grpcpp/server.h>

#include <atomic>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"

namespace weft::scheduler {
namespace {

// Peers close their side when told to; those that do not are cut after as long.
constexpr std::chrono::seconds kGoodbye{2};

class SessionService final : public v1::SchedulerService::CallbackService {
 public:
  SessionService(GatewayListener& listener, uint64_t epoch, size_t max_outbox_bytes)
      : listener_(listener), epoch_(epoch), max_outbox_bytes_(max_outbox_bytes) {}

  grpc::ServerBidiReactor<v1::GatewayFrame, v1::SchedulerFrame>* Session(
      grpc::CallbackServerContext* context) override {
    return GatewayStream::Start(std::make_shared<GatewayStream>(
        context, listener_,
        GatewayStream::Options{
            .id = next_id_++, .epoch = epoch_, .max_outbox_bytes = max_outbox_bytes_}));
  }

 private:
  GatewayListener& listener_;
  const uint64_t epoch_;
  const size_t max_outbox_bytes_;
  std::atomic<uint64_t> next_id_{1};
};

class AttachService final : public v1::WorkerService::CallbackService {
 public:
  AttachService(WorkerListener& listener, uint64_t epoch) : listener_(listener), epoch_(epoch) {}

  grpc::ServerBidiReactor<v1::WorkerFrame, v1::WorkerCommand>* Attach(
      grpc::CallbackServerContext* context) override {
    return WorkerStream::Start(std::make_shared<WorkerStream>(
        context, listener_, WorkerStream::Options{.id = next_id_++, .epoch = epoch_}));
  }

 private:
  WorkerListener& listener_;
  const uint64_t epoch_;
  std::atomic<uint64_t> next_id_{1};
};

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& options, SchedulerMetrics& metrics)
      : loop(options.loop, metrics),
        session_service(loop, options.loop.epoch, options.max_outbox_bytes),
        attach_service(loop, options.loop.epoch) {}

  Loop loop;
  SessionService session_service;
  AttachService attach_service;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      SchedulerMetrics& metrics) {
  auto impl = std::make_unique<Impl>(options, metrics);
  grpc::ServerBuilder builder;
  ConfigurePeerServer(builder, options.address, &impl->port);
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

int Server::port() const { return impl_->port; }

absl::Status Server::Ready() const { return impl_->loop.Ready(); }

void Server::Drain() {
  impl_->loop.Drain();
  impl_->loop.AwaitDrained();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kGoodbye);
}

}  // namespace weft::scheduler
