#include "gateway/inference/grpc_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/host_port.h"
#include "common/peer_tls.h"
#include "common/version.h"
#include "gateway/auth/caller.h"
#include "gateway/inference/grpc_codec.h"
#include "gateway/inference/grpc_reflection.h"
#include "gateway/inference/grpc_status.h"
#include "gateway/inference/param_error.h"
#include "gateway/inference/work_pool.h"
#include "grpc/health/v1/health.grpc.pb.h"
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

std::string Metadata(const grpc::CallbackServerContext& context, const std::string& name) {
  const auto found = context.client_metadata().find(name);
  if (name.empty() || found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

// A call as a span of its caller's trace, in the terms of OpenTelemetry's conventions for RPC.
class CallSpan {
 public:
  // `method` is of static storage.
  CallSpan(Tracer* tracer, const char* method, const grpc::CallbackServerContext& context)
      : tracer_(tracer), method_(method), begun_at_ns_(UnixNanos()) {
    if (tracer_ != nullptr) trace_ = tracer_->Begin(Metadata(context, "traceparent"));
  }

  // What is done for the call is a part of it.
  const SpanContext& context() const { return trace_.context; }

  void End(const grpc::Status& status) const {
    if (!tracer_->records(trace_.context)) return;
    tracer_->Record({.name = absl::StrCat(v1::InferenceService::service_full_name(), "/", method_),
                     .kind = Span::Kind::kServer,
                     .context = trace_.context,
                     .parent = trace_.parent,
                     .begin_ns = begun_at_ns_,
                     .end_ns = UnixNanos(),
                     .attributes = {{"rpc.system", "grpc"},
                                    {"rpc.service", v1::InferenceService::service_full_name()},
                                    {"rpc.method", method_},
                                    {"rpc.grpc.status_code", int64_t{status.error_code()}}},
                     .error = status.error_message()});
  }

 private:
  Tracer* const tracer_;
  const char* const method_;
  const int64_t begun_at_ns_;
  Tracer::Begun trace_;
};

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
             CallSpan span, Answer& answer)
      : service_(service),
        pool_(std::move(pool)),
        context_(context),
        span_(std::move(span)),
        answer_(&answer) {}

  void Start(Request request) {
    request.timeout_ms = TimeoutMs(context_);
    request.trace = span_.context();
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
    grpc::Status result = EndCall(status, retry_after, context_);
    span_.End(result);
    if (writing_) {
      pending_finish_ = std::move(result);
    } else {
      std::exchange(answer_, nullptr)->Finish(std::move(result));
    }
  }

  Service& service_;
  const std::weak_ptr<WorkPool> pool_;
  grpc::CallbackServerContext& context_;
  const CallSpan span_;

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
                  grpc::CallbackServerContext& context, CallSpan span, const char* id_prefix,
                  Response& response)
      : id_prefix_(id_prefix),
        response_(response),
        generation_(std::make_shared<Generation>(service, std::move(pool), context, std::move(span),
                                                 *this)) {}

  void Start(absl::StatusOr<Request> request) {
    if (!request.ok()) return generation_->OnStarted(request.status());
    with_prompt_ = request->options.return_token_ids;
    generation_->Start(*std::move(request));
  }
  void OnCancel() override { generation_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  void Begin(const StartedRequest& started) override {
    WriteHead(MakeHead(id_prefix_, started.model), response_);
    if (with_prompt_) WritePrompt(*started.prompt, response_);
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
  bool with_prompt_ = false;
};

// A chunk for whatever has happened since the last.
template <typename Chunk>
class StreamingGeneration final : public grpc::ServerWriteReactor<Chunk>,
                                  public Generation::Answer {
 public:
  StreamingGeneration(Service& service, std::weak_ptr<WorkPool> pool,
                      grpc::CallbackServerContext& context, CallSpan span, const char* id_prefix)
      : id_prefix_(id_prefix),
        generation_(std::make_shared<Generation>(service, std::move(pool), context, std::move(span),
                                                 *this)) {}

  void Start(absl::StatusOr<Request> request) {
    if (!request.ok()) return generation_->OnStarted(request.status());
    with_prompt_ = request->options.return_token_ids;
    generation_->Start(*std::move(request));
  }
  void OnCancel() override { generation_->OnCancel(); }
  void OnWriteDone(bool) override { generation_->OnWritten(); }
  void OnDone() override { delete this; }

 private:
  void Begin(const StartedRequest& started) override {
    head_ = MakeHead(id_prefix_, started.model);
    if (with_prompt_) prompt_ = started.prompt;
  }
  bool Write(const std::vector<Event>& events) override {
    chunk_.Clear();
    WriteHead(head_, chunk_);
    if (const auto prompt = std::exchange(prompt_, nullptr)) WritePrompt(*prompt, chunk_);
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
  bool with_prompt_ = false;
  std::shared_ptr<const std::vector<text::TokenId>> prompt_;  // for the first chunk
  Chunk chunk_;
};

constexpr char kChatPrefix[] = "chatcmpl";
constexpr char kCompletionPrefix[] = "cmpl";

class InferenceApi final : public v1::InferenceService::CallbackService {
 public:
  InferenceApi(gateway::Service& service, const GrpcOptions& options)
      : service_(service),
        tenant_header_(options.tenant_header),
        access_(options.access),
        tracer_(options.tracer),
        pool_(std::make_shared<WorkPool>(2, std::numeric_limits<size_t>::max())) {}

  // Null: nobody is asked for a key.
  absl::StatusOr<std::shared_ptr<const auth::Caller>> Identify(
      const grpc::CallbackServerContext& context) const {
    if (access_ == nullptr) return nullptr;
    return access_->Identify(Metadata(context, "authorization"), Metadata(context, "x-api-key"));
  }

  grpc::ServerUnaryReactor* Chat(grpc::CallbackServerContext* context,
                                 const v1::ChatRequest* request,
                                 v1::ChatResponse* response) override {
    return Unary(context, "Chat", *request, *response, kChatPrefix);
  }
  grpc::ServerWriteReactor<v1::ChatChunk>* StreamChat(grpc::CallbackServerContext* context,
                                                      const v1::ChatRequest* request) override {
    return Streaming<v1::ChatChunk>(context, "StreamChat", *request, kChatPrefix);
  }
  grpc::ServerUnaryReactor* Complete(grpc::CallbackServerContext* context,
                                     const v1::CompletionRequest* request,
                                     v1::CompletionResponse* response) override {
    return Unary(context, "Complete", *request, *response, kCompletionPrefix);
  }
  grpc::ServerWriteReactor<v1::CompletionChunk>* StreamComplete(
      grpc::CallbackServerContext* context, const v1::CompletionRequest* request) override {
    return Streaming<v1::CompletionChunk>(context, "StreamComplete", *request, kCompletionPrefix);
  }

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest*,
                                       v1::ListModelsResponse* response) override {
    const auto caller = Identify(*context);
    if (!caller.ok()) return Finished(context, caller.status());
    for (const ModelInfo& info :
         *caller == nullptr ? service_.Models() : (*caller)->Visible(service_.Models())) {
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
    auto permit = Enter(*context);
    if (!permit.ok()) return Finished(context, permit.status());
    return InPool(context, [this, request, response, permit = *permit]() -> absl::Status {
      auto read = ReadRequest(*request);
      if (!read.ok()) return read.status();
      read->permit = permit;
      if (permit != nullptr) {
        if (auto s = permit->caller().ResolveModel(service_, read->model); !s.ok()) return s;
      }
      const auto tokens = service_.Tokenize(*read);
      if (!tokens.ok()) return tokens.status();
      response->mutable_tokens()->Assign(tokens->begin(), tokens->end());
      for (const ModelInfo& info : service_.Models()) {
        if (!read->model.empty() && info.id != read->model) continue;
        response->set_max_model_len(static_cast<uint32_t>(info.max_model_len));
        break;
      }
      if (request->return_token_strs()) {
        for (text::TokenId id : *tokens) {
          response->add_token_strs(service_.TokenText(read->model, id));
        }
      }
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override {
    auto permit = Enter(*context);
    if (!permit.ok()) return Finished(context, permit.status());
    return InPool(context, [this, request, response, permit = *permit]() -> absl::Status {
      std::string model = request->model();
      if (permit != nullptr) {
        if (auto s = permit->caller().ResolveModel(service_, model); !s.ok()) return s;
      }
      auto text = service_.Detokenize(model, {request->tokens().begin(), request->tokens().end()});
      if (!text.ok()) return text.status();
      response->set_text(*std::move(text));
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* GetTokenizerInfo(grpc::CallbackServerContext* context,
                                             const v1::GetTokenizerInfoRequest* request,
                                             v1::GetTokenizerInfoResponse* response) override {
    const auto caller = Identify(*context);
    if (!caller.ok()) return Finished(context, caller.status());
    return InPool(context, [this, request, response, caller = *caller]() -> absl::Status {
      std::string model = request->model();
      if (caller != nullptr) {
        if (auto s = caller->ResolveModel(service_, model); !s.ok()) return s;
      }
      const auto info = service_.TokenizerInfo(model);
      if (!info.ok()) return info.status();
      return WriteTokenizerInfo(*info, *response);
    });
  }

  grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context,
                                       const v1::GetVersionRequest*,
                                       v1::GetVersionResponse* response) override {
    response->set_version(std::string(kVersion));
    return Finished(context, Identify(*context).status());
  }

 private:
  template <typename RequestProto, typename Response>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const char* method,
                                  const RequestProto& request, Response& response,
                                  const char* id_prefix) {
    auto* call = new UnaryGeneration<Response>(
        service_, pool_, *context, CallSpan(tracer_, method, *context), id_prefix, response);
    call->Start(Read(*context, request));
    return call;
  }

  template <typename Chunk, typename RequestProto>
  grpc::ServerWriteReactor<Chunk>* Streaming(grpc::CallbackServerContext* context,
                                             const char* method, const RequestProto& request,
                                             const char* id_prefix) {
    auto* call = new StreamingGeneration<Chunk>(service_, pool_, *context,
                                                CallSpan(tracer_, method, *context), id_prefix);
    if (request.options().has_prompt_logprobs()) {
      call->Start(ParamError("prompt_logprobs", "prompt_logprobs is not for streaming calls."));
    } else {
      call->Start(Read(*context, request));
    }
    return call;
  }

  // With the tenant and the permit that the call's metadata bring.
  template <typename RequestProto>
  absl::StatusOr<Request> Read(const grpc::CallbackServerContext& context,
                               const RequestProto& proto) const {
    auto permit = Enter(context);
    if (!permit.ok()) return permit.status();
    absl::StatusOr<Request> request = ReadRequest(proto);
    if (!request.ok()) return request;
    request->tenant = Metadata(context, tenant_header_);
    if (*permit != nullptr) {
      request->tenant = (*permit)->caller().entry().tenant.value_or(request->tenant);
    }
    request->permit = *std::move(permit);
    return request;
  }

  absl::StatusOr<std::shared_ptr<auth::Permit>> Enter(
      const grpc::CallbackServerContext& context) const {
    const auto caller = Identify(context);
    if (!caller.ok()) return caller.status();
    if (*caller == nullptr) return nullptr;
    return (*caller)->Enter();
  }

  static grpc::ServerUnaryReactor* Finished(grpc::CallbackServerContext* context,
                                            const absl::Status& status) {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(EndCall(status, absl::ZeroDuration(), *context));
    return reactor;
  }

  template <typename Work>
  grpc::ServerUnaryReactor* InPool(grpc::CallbackServerContext* context, Work work) {
    auto* reactor = context->DefaultReactor();
    (void)pool_->Run(WorkPool::Weight::kHeavy, [context, reactor, work] {
      reactor->Finish(EndCall(work(), absl::ZeroDuration(), *context));
    });
    return reactor;
  }

  gateway::Service& service_;
  const std::string tenant_header_;
  const auth::Access* const access_;
  Tracer* const tracer_;
  const std::shared_ptr<WorkPool> pool_;
};

}  // namespace

struct GrpcServer::Impl {
  Impl(Service& service, const GrpcOptions& options)
      : api(service, options),
        reflection({v1::InferenceService::service_full_name(),
                    grpc::health::v1::Health::service_full_name(),
                    grpc::reflection::v1alpha::ServerReflection::service_full_name()},
                   [this](const grpc::CallbackServerContext& context) {
                     return ToGrpcStatus(api.Identify(context).status());
                   }) {}

  InferenceApi api;
  GrpcReflection reflection;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcOptions& options,
                                                              Service& service) {
  grpc::EnableDefaultHealthCheckService(true);
  // gRPC's own server of it brings no description for reflection to show.
  (void)grpc::health::v1::HealthCheckRequest::descriptor();
  auto impl = std::make_unique<Impl>(service, options);
  const std::string address = JoinHostPort(options.host, options.port);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, ServerTlsCredentials(options.tls), &impl->port);
  // A second process on the same port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.RegisterService(&impl->api);
  builder.RegisterService(&impl->reflection);
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
