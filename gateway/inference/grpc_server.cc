#include "gateway/inference/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/inference/grpc_codec.h"
#include "gateway/inference/param_error.h"
#include "gateway/inference/work_pool.h"
#include "grpc/health/v1/health.pb.h"
#include "weft/v1/inference.grpc.pb.h"

namespace weft::gateway {
namespace {

// gRPC's own default, said aloud: a prompt of 131,072 ids is 0.7 MB.
constexpr int kMaxReceiveBytes = 4 << 20;

using std::chrono::milliseconds;
using std::chrono::system_clock;

// 0: the client has set no deadline.
uint32_t TimeoutMs(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == system_clock::time_point::max()) return 0;
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - system_clock::now()).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(left, 1, std::numeric_limits<uint32_t>::max()));
}

// One generation and whoever is told of it. Events come on the service's threads,
// network callbacks on gRPC's: one at a time gets in. What the reactor is asked to
// do is asked under the lock, and nothing after Finish, behind which it may be gone.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  // The reactor, as this needs it.
  class Answer {
   public:
    virtual ~Answer() = default;
    virtual void Begin(const StartedRequest& started) = 0;
    // True: more may be handed on at once. False: only after OnWritten.
    virtual bool Write(const std::vector<Event>& events) = 0;
    virtual void Finish(grpc::Status status) = 0;
  };

  Generation(Service& service, std::weak_ptr<WorkPool> pool, grpc::CallbackServerContext& context,
             Answer& answer)
      : service_(service), pool_(std::move(pool)), context_(context), answer_(&answer) {}

  void Start(Request request) {
    request.timeout_ms = TimeoutMs(context_);
    service_.Start(std::move(request), [self = shared_from_this()](auto started) {
      self->OnStarted(std::move(started));
    });
  }

  void OnStarted(absl::StatusOr<StartedRequest> started) {
    {
      std::lock_guard lock(mutex_);
      if (answer_ == nullptr) return;
      if (!started.ok()) return Finish(started.status());
      answer_->Begin(*started);
      events_ = std::move(started->events);
    }
    Pump();
  }

  // Network writes take the time of a system call: never on the session's thread.
  void PumpSoon() {
    const auto pool = pool_.lock();
    if (pool == nullptr) return;  // the server is gone, and with it the reader
    (void)pool->Run(WorkPool::Weight::kLight, [self = shared_from_this()] { self->Pump(); });
  }

  // A write that failed is followed by OnCancel.
  void OnWritten() {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (pending_finish_) return std::exchange(answer_, nullptr)->Finish(*pending_finish_);
    }
    Pump();
  }

  void OnCancel() {
    std::unique_ptr<EventStream> events;
    std::lock_guard lock(mutex_);
    events = std::move(events_);
    if (answer_ != nullptr && !pending_finish_) Finish(absl::CancelledError("the client is gone"));
  }

 private:
  void Pump() {
    std::unique_ptr<EventStream> done;  // destroyed after the lock
    std::lock_guard lock(mutex_);
    while (answer_ != nullptr && events_ != nullptr && !writing_ && !pending_finish_) {
      const std::vector<Event> events = events_->Take();
      if (events.empty()) {
        events_->OnReadable([self = shared_from_this()] { self->PumpSoon(); });
        return;
      }
      const auto* failed = std::get_if<Failed>(&events.back());
      if (failed == nullptr || events.size() > 1) writing_ = !answer_->Write(events);
      if (failed != nullptr || std::holds_alternative<Completed>(events.back())) {
        done = std::move(events_);
        Finish(failed != nullptr ? failed->status : absl::OkStatus(),
               failed != nullptr ? failed->retry_after : absl::ZeroDuration());
      }
    }
  }

  void Finish(const absl::Status& status, absl::Duration retry_after = absl::ZeroDuration()) {
    grpc::Status result = WriteError(status, retry_after, context_);
    if (writing_) {
      pending_finish_ = std::move(result);
    } else {
      std::exchange(answer_, nullptr)->Finish(std::move(result));
    }
  }

  Service& service_;
  const std::weak_ptr<WorkPool> pool_;
  grpc::CallbackServerContext& context_;

  std::mutex mutex_;  // guards the rest
  Answer* answer_;    // null once finished
  std::unique_ptr<EventStream> events_;
  bool writing_ = false;
  std::optional<grpc::Status> pending_finish_;  // behind the write at hand
};

// A whole answer at the end.
template <typename Response>
class UnaryGeneration final : public grpc::ServerUnaryReactor, public Generation::Answer {
 public:
  UnaryGeneration(Service& service, std::weak_ptr<WorkPool> pool,
                  grpc::CallbackServerContext& context, const char* id_prefix, Response& response)
      : id_prefix_(id_prefix),
        response_(response),
        generation_(std::make_shared<Generation>(service, std::move(pool), context, *this)) {}

  void Start(absl::StatusOr<Request> request) {
    if (!request.ok()) return generation_->OnStarted(request.status());
    generation_->Start(*std::move(request));
  }
  void OnCancel() override { generation_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  void Begin(const StartedRequest& started) override {
    WriteHead(MakeHead(id_prefix_, started.model), response_);
    for (int i = 0; i < started.num_choices; ++i) {
      WriteEvent(Delta{.index = i}, response_);  // in order, whoever speaks first
    }
  }
  bool Write(const std::vector<Event>& events) override {
    for (const Event& event : events) WriteEvent(event, response_);
    return true;
  }
  void Finish(grpc::Status status) override { grpc::ServerUnaryReactor::Finish(std::move(status)); }

  const char* const id_prefix_;
  Response& response_;
  const std::shared_ptr<Generation> generation_;
};

// A chunk for whatever has happened since the last.
template <typename Chunk>
class StreamingGeneration final : public grpc::ServerWriteReactor<Chunk>,
                                  public Generation::Answer {
 public:
  StreamingGeneration(Service& service, std::weak_ptr<WorkPool> pool,
                      grpc::CallbackServerContext& context, const char* id_prefix)
      : id_prefix_(id_prefix),
        generation_(std::make_shared<Generation>(service, std::move(pool), context, *this)) {}

  void Start(absl::StatusOr<Request> request) {
    if (!request.ok()) return generation_->OnStarted(request.status());
    generation_->Start(*std::move(request));
  }
  void OnCancel() override { generation_->OnCancel(); }
  void OnWriteDone(bool) override { generation_->OnWritten(); }
  void OnDone() override { delete this; }

 private:
  void Begin(const StartedRequest& started) override {
    head_ = MakeHead(id_prefix_, started.model);
  }
  bool Write(const std::vector<Event>& events) override {
    chunk_.Clear();
    WriteHead(head_, chunk_);
    for (const Event& event : events) WriteEvent(event, chunk_);
    this->StartWrite(&chunk_);
    return false;
  }
  void Finish(grpc::Status status) override {
    grpc::ServerWriteReactor<Chunk>::Finish(std::move(status));
  }

  const char* const id_prefix_;
  const std::shared_ptr<Generation> generation_;
  AnswerHead head_;
  Chunk chunk_;
};

constexpr char kChatPrefix[] = "chatcmpl";
constexpr char kCompletionPrefix[] = "cmpl";

class InferenceApi final : public v1::InferenceService::CallbackService {
 public:
  explicit InferenceApi(gateway::Service& service)
      : service_(service),
        pool_(std::make_shared<WorkPool>(2, std::numeric_limits<size_t>::max())) {}

  grpc::ServerUnaryReactor* Chat(grpc::CallbackServerContext* context,
                                 const v1::ChatRequest* request,
                                 v1::ChatResponse* response) override {
    return Unary(context, *request, *response, kChatPrefix);
  }
  grpc::ServerWriteReactor<v1::ChatChunk>* StreamChat(grpc::CallbackServerContext* context,
                                                      const v1::ChatRequest* request) override {
    return Streaming<v1::ChatChunk>(context, *request, kChatPrefix);
  }
  grpc::ServerUnaryReactor* Complete(grpc::CallbackServerContext* context,
                                     const v1::CompletionRequest* request,
                                     v1::CompletionResponse* response) override {
    return Unary(context, *request, *response, kCompletionPrefix);
  }
  grpc::ServerWriteReactor<v1::CompletionChunk>* StreamComplete(
      grpc::CallbackServerContext* context, const v1::CompletionRequest* request) override {
    return Streaming<v1::CompletionChunk>(context, *request, kCompletionPrefix);
  }

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest*,
                                       v1::ListModelsResponse* response) override {
    for (const ModelInfo& info : service_.Models()) {
      v1::Model& model = *response->add_models();
      model.set_id(info.id);
      model.set_root(info.root);
      model.set_created(info.created);
      model.set_max_model_len(static_cast<uint32_t>(info.max_model_len));
    }
    return Finished(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override {
    return InPool(context, [this, request, response]() -> absl::Status {
      const auto read = ReadRequest(*request);
      if (!read.ok()) return read.status();
      const auto tokens = service_.Tokenize(*read);
      if (!tokens.ok()) return tokens.status();
      response->mutable_tokens()->Assign(tokens->begin(), tokens->end());
      response->set_max_model_len(static_cast<uint32_t>(service_.Models().front().max_model_len));
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override {
    return InPool(context, [this, request, response]() -> absl::Status {
      auto text = service_.Detokenize(request->model(),
                                      {request->tokens().begin(), request->tokens().end()});
      if (!text.ok()) return text.status();
      response->set_text(*std::move(text));
      return absl::OkStatus();
    });
  }

 private:
  template <typename RequestProto, typename Response>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const RequestProto& request,
                                  Response& response, const char* id_prefix) {
    auto* call = new UnaryGeneration<Response>(service_, pool_, *context, id_prefix, response);
    call->Start(ReadRequest(request));
    return call;
  }

  template <typename Chunk, typename RequestProto>
  grpc::ServerWriteReactor<Chunk>* Streaming(grpc::CallbackServerContext* context,
                                             const RequestProto& request, const char* id_prefix) {
    auto* call = new StreamingGeneration<Chunk>(service_, pool_, *context, id_prefix);
    if (request.options().has_prompt_logprobs()) {
      call->Start(ParamError("prompt_logprobs", "prompt_logprobs is not for streaming calls."));
    } else {
      call->Start(ReadRequest(request));
    }
    return call;
  }

  static grpc::ServerUnaryReactor* Finished(grpc::CallbackServerContext* context,
                                            const absl::Status& status) {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(WriteError(status, absl::ZeroDuration(), *context));
    return reactor;
  }

  template <typename Work>
  grpc::ServerUnaryReactor* InPool(grpc::CallbackServerContext* context, Work work) {
    auto* reactor = context->DefaultReactor();
    (void)pool_->Run(WorkPool::Weight::kHeavy, [context, reactor, work] {
      reactor->Finish(WriteError(work(), absl::ZeroDuration(), *context));
    });
    return reactor;
  }

  gateway::Service& service_;
  const std::shared_ptr<WorkPool> pool_;
};

}  // namespace

struct GrpcServer::Impl {
  explicit Impl(Service& service) : api(service) {}

  InferenceApi api;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcOptions& options,
                                                              Service& service) {
  grpc::EnableDefaultHealthCheckService(true);
  // gRPC's own server of it brings no description for reflection to show.
  (void)grpc::health::v1::HealthCheckRequest::descriptor();
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(service);
  const std::string address = absl::StrCat(options.host, ":", options.port);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &impl->port);
  // A second process on the same port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.RegisterService(&impl->api);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, " for gRPC: is the port taken?"));
  }
  std::unique_ptr<GrpcServer> server(new GrpcServer(std::move(impl)));
  server->SetServing(false);
  return server;
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { Shutdown(milliseconds(0)); }

int GrpcServer::port() const { return impl_->port; }

void GrpcServer::SetServing(bool serving) {
  auto* health = impl_->server->GetHealthCheckService();
  health->SetServingStatus(serving);
  health->SetServingStatus(v1::InferenceService::service_full_name(), serving);
}

void GrpcServer::Shutdown(milliseconds timeout) {
  impl_->server->Shutdown(system_clock::now() + timeout);
}

}  // namespace weft::gateway
