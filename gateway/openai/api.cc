#include "gateway/openai/api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/version.h"
#include "gateway/http/http_metrics.h"
#include "gateway/openai/error.h"
#include "gateway/openai/generation.h"
#include "gateway/openai/json_writer.h"
#include "gateway/openai/openapi.h"
#include "gateway/openai/request.h"
#include "gateway/playground/playground.h"

namespace weft::openai {
namespace {

using http::Exchange;
using http::HttpRequest;
using http::HttpResponse;

constexpr int kPoolThreads = 2;
// Bodies that wait to be read or tokenized. More wait longer than clients do.
constexpr size_t kMaxWaiting = 256;

constexpr std::string_view kChat = "/v1/chat/completions";
constexpr std::string_view kCompletions = "/v1/completions";
constexpr std::string_view kResponses = "/v1/responses";
constexpr std::string_view kResponse = "/v1/responses/{id}";  // and what would lie below it
constexpr std::string_view kModels = "/v1/models";
constexpr std::string_view kModel = "/v1/models/{id}";
constexpr std::string_view kTokenize = "/tokenize";
constexpr std::string_view kDetokenize = "/detokenize";
constexpr std::string_view kTokenizerInfo = "/tokenizer_info";
constexpr std::string_view kHealth = "/health";
constexpr std::string_view kVersionRoute = "/version";
constexpr std::string_view kOpenApi = "/openapi.json";

constexpr std::string_view kRoutes[] = {kChat,          kCompletions, kResponses,    kResponse,
                                        kModels,        kModel,       kTokenize,     kDetokenize,
                                        kTokenizerInfo, kHealth,      kVersionRoute, kOpenApi};

// What needs no key where keys are asked for: all else does.
constexpr std::string_view kOpenRoutes[] = {kHealth, playground::kPage, playground::kFile};

constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr std::string_view kResponsePrefix = "/v1/responses/";

// The route's template; empty if there is none.
std::string_view FindRoute(std::string_view path) {
  for (const std::string_view route : kRoutes) {
    if (path == route) return route;
  }
  if (path.size() > kModelPrefix.size() && path.starts_with(kModelPrefix)) return kModel;
  if (path.starts_with(kResponsePrefix)) return kResponse;
  return {};
}

bool IsOpen(std::string_view route) {
  return std::find(std::begin(kOpenRoutes), std::end(kOpenRoutes), route) != std::end(kOpenRoutes);
}

std::optional<Endpoint> Generates(std::string_view route) {
  if (route == kChat) return Endpoint::kChat;
  if (route == kCompletions) return Endpoint::kCompletion;
  if (route == kResponses) return Endpoint::kResponse;
  return std::nullopt;
}

bool TakesBody(std::string_view route) {
  return Generates(route) || route == kTokenize || route == kDetokenize;
}

// application/json and kin, in UTF-8. Absent is taken for it.
bool IsJson(std::string_view content_type) {
  if (content_type.empty()) return true;
  const size_t semicolon = content_type.find(';');
  std::string type(http::TrimBlanks(content_type.substr(0, semicolon)));
  std::transform(type.begin(), type.end(), type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (type != "application/json" &&
      !(type.starts_with("application/") && type.ends_with("+json"))) {
    return false;
  }
  if (semicolon == std::string_view::npos) return true;
  std::string_view parameter = http::TrimBlanks(content_type.substr(semicolon + 1));
  constexpr std::string_view kCharset = "charset=";
  if (!http::EqualsIgnoreCase(parameter.substr(0, kCharset.size()), kCharset)) return true;
  parameter.remove_prefix(kCharset.size());
  if (parameter.size() >= 2 && parameter.front() == '"' && parameter.back() == '"') {
    parameter = parameter.substr(1, parameter.size() - 2);
  }
  return http::EqualsIgnoreCase(parameter, "utf-8") || http::EqualsIgnoreCase(parameter, "utf8");
}

void AppendModel(std::string& out, const gateway::ModelInfo& model) {
  out += "{\"id\":";
  AppendQuotedBytes(out, model.id);
  out += ",\"object\":\"model\",\"created\":";
  AppendInt(out, model.created);
  out += ",\"owned_by\":\"weft\",\"root\":";
  AppendQuotedBytes(out, model.root);
  out += ",\"parent\":null,\"max_model_len\":";
  if (model.max_model_len > 0) {
    AppendInt(out, model.max_model_len);
  } else {
    out += "null";
  }
  out += '}';
}

using Models = std::vector<gateway::ModelInfo>;

// What the caller may see of what is served. A null caller: nobody was asked for a key.
Models VisibleModels(const gateway::Service& service, const auth::Caller* caller) {
  return caller == nullptr ? service.Models() : caller->Visible(service.Models());
}

absl::Status ResolveModel(const gateway::Service& service, const auth::Caller* caller,
                          std::string& model) {
  return caller == nullptr ? absl::OkStatus() : caller->ResolveModel(service, model);
}

HttpResponse ListModels(const Models& models) {
  std::string body = "{\"object\":\"list\",\"data\":[";
  bool first = true;
  for (const gateway::ModelInfo& model : models) {
    if (!std::exchange(first, false)) body += ',';
    AppendModel(body, model);
  }
  body += "]}";
  return {.body = std::move(body)};
}

HttpResponse OneModel(const Models& models, const std::string& id) {
  for (const gateway::ModelInfo& model : models) {
    if (model.id != id) continue;
    HttpResponse response;
    AppendModel(response.body, model);
    return response;
  }
  absl::Status status = absl::NotFoundError(absl::StrCat("The model `", id, "` does not exist."));
  status.SetPayload(gateway::kParamPayload, absl::Cord("model"));
  status.SetPayload(gateway::kCodePayload, absl::Cord("model_not_found"));
  return ErrorResponse(status);
}

HttpResponse Tokenize(const gateway::Service& service, std::shared_ptr<auth::Permit> permit,
                      const std::string& body) {
  absl::StatusOr<TokenizeCall> call = ParseTokenize(body);
  if (!call.ok()) return ErrorResponse(call.status());
  const auth::Caller* caller = permit == nullptr ? nullptr : &permit->caller();
  if (auto s = ResolveModel(service, caller, call->request.model); !s.ok()) return ErrorResponse(s);
  call->request.permit = std::move(permit);
  const absl::StatusOr<std::vector<text::TokenId>> tokens = service.Tokenize(call->request);
  if (!tokens.ok()) return ErrorResponse(tokens.status());
  int max_model_len = 0;
  for (const gateway::ModelInfo& model : service.Models()) {
    if (call->request.model.empty() || model.id == call->request.model) {
      max_model_len = model.max_model_len;
      break;
    }
  }
  HttpResponse response;
  std::string& out = response.body;
  out += "{\"count\":";
  AppendInt(out, static_cast<long long>(tokens->size()));
  out += ",\"max_model_len\":";
  AppendInt(out, max_model_len);
  out += ",\"tokens\":[";
  for (size_t i = 0; i < tokens->size(); ++i) {
    if (i > 0) out += ',';
    AppendInt(out, (*tokens)[i]);
  }
  out += "],\"token_strs\":";
  if (call->return_token_strs) {
    out += '[';
    for (size_t i = 0; i < tokens->size(); ++i) {
      if (i > 0) out += ',';
      AppendQuotedBytes(out, service.TokenText(call->request.model, (*tokens)[i]));
    }
    out += "]}";
  } else {
    out += "null}";
  }
  return response;
}

HttpResponse Detokenize(const gateway::Service& service, const auth::Permit* permit,
                        const std::string& body) {
  absl::StatusOr<DetokenizeCall> call = ParseDetokenize(body);
  if (!call.ok()) return ErrorResponse(call.status());
  const auth::Caller* caller = permit == nullptr ? nullptr : &permit->caller();
  if (auto s = ResolveModel(service, caller, call->model); !s.ok()) return ErrorResponse(s);
  const absl::StatusOr<std::string> text = service.Detokenize(call->model, call->tokens);
  if (!text.ok()) return ErrorResponse(text.status());
  HttpResponse response{.body = "{\"prompt\":"};
  AppendQuotedBytes(response.body, *text);
  response.body += '}';
  return response;
}

HttpResponse TokenizerInfo(const gateway::Service& service, const auth::Caller* caller,
                           const HttpRequest& request) {
  std::string model = request.Parameter("model");
  if (auto s = ResolveModel(service, caller, model); !s.ok()) return ErrorResponse(s);
  absl::StatusOr<std::string> info = service.TokenizerInfo(model);
  if (!info.ok()) return ErrorResponse(info.status());
  return {.body = *std::move(info)};
}

// An answer that a pool thread makes.
class PooledAnswer : public Exchange {
 public:
  PooledAnswer(gateway::WorkPool& pool, std::function<HttpResponse()> make, http::Waker waker) {
    const bool accepted =
        pool.Run(gateway::WorkPool::Weight::kHeavy,
                 [state = state_, make = std::move(make), waker = std::move(waker)] {
                   HttpResponse response;
                   try {
                     response = make();
                   } catch (const std::exception& error) {
                     spdlog::error("{}", error.what());
                     response = ErrorResponse(500, "internal error");
                   }
                   {
                     std::lock_guard lock(state->mutex);
                     state->response = std::move(response);
                   }
                   waker();
                 });
    if (!accepted) {
      state_->response = ErrorResponse(absl::UnavailableError("The server is overloaded."));
    }
  }

  void Advance(http::ResponseWriter& writer) override {
    std::lock_guard lock(state_->mutex);
    if (state_->response) writer.Reply(*std::exchange(state_->response, std::nullopt));
  }

 private:
  struct State {
    std::mutex mutex;
    std::optional<HttpResponse> response;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

HttpResponse MethodNotAllowed(const HttpRequest& request, std::string_view allow) {
  HttpResponse response = ErrorResponse(
      405, absl::StrCat(request.method, " is not allowed here: use ", std::string(allow)));
  response.headers.emplace_back("Allow", allow);
  return response;
}

}  // namespace

Api::Api(gateway::Service& service, ApiOptions options)
    : service_(service), options_(std::move(options)), pool_(kPoolThreads, kMaxWaiting) {}

http::Handler Api::handler() {
  return [this](HttpRequest request, http::Waker waker) {
    return Route(std::move(request), std::move(waker));
  };
}

http::Routed Api::Route(HttpRequest request, http::Waker waker) {
  std::string_view route = FindRoute(request.path);
  if (route.empty() && options_.has_playground) route = playground::FindRoute(request.path);
  std::string headers = options_.cors.HeadersFor(request);
  std::shared_ptr<const auth::Caller> caller;
  const bool asks_for_key =
      options_.access != nullptr && !IsOpen(route) && request.method != "OPTIONS";
  if (asks_for_key) {
    const std::string_view azure = request.Header("api-key");
    auto identified = options_.access->Identify(
        request.Header("authorization"), azure.empty() ? request.Header("x-api-key") : azure);
    if (!identified.ok()) {
      return {.exchange = http::Answer(ErrorResponse(identified.status())),
              .route = route.empty() ? http::kOtherRoute : route,
              .headers = std::move(headers)};
    }
    caller = *std::move(identified);
  }
  http::Routed routed = Dispatch(route, std::move(request), caller, std::move(waker));
  if (caller != nullptr) headers += caller->RateLimitHeaders();
  routed.headers = std::move(headers);
  return routed;
}

http::Routed Api::Dispatch(std::string_view route, HttpRequest request,
                           std::shared_ptr<const auth::Caller> caller, http::Waker waker) {
  const bool takes_body = TakesBody(route);
  const std::string_view allow = route.empty() ? "GET, HEAD, POST, OPTIONS"
                                 : takes_body  ? "POST, OPTIONS"
                                               : "GET, HEAD, OPTIONS";
  const auto answer = [&](HttpResponse response) {
    return http::Routed{.exchange = http::Answer(std::move(response)),
                        .route = route.empty() ? http::kOtherRoute : route};
  };
  if (request.method == "OPTIONS") return answer(options_.cors.Preflight(request, allow));
  if (route.empty()) {
    return answer(ErrorResponse(
        404, absl::StrCat("There is no ", request.method, " ", request.path, "."), "unknown_url"));
  }
  if (route == kResponse) {
    return answer(
        ErrorResponse(404, "This server stores no responses: there is none to go back to."));
  }
  if (takes_body ? request.method != "POST" : request.method != "GET" && request.method != "HEAD") {
    return answer(MethodNotAllowed(request, allow));
  }
  if (takes_body && !IsJson(request.Header("content-type"))) {
    return answer(ErrorResponse(415, "Content-Type must be application/json, in UTF-8."));
  }
  Sender sender;
  if (!options_.tenant_header.empty()) sender.tenant = request.Header(options_.tenant_header);
  if (caller != nullptr) {
    sender.tenant = caller->entry().tenant.value_or(std::move(sender.tenant));
    if (takes_body) {
      auto permit = caller->Enter();
      if (!permit.ok()) return answer(ErrorResponse(permit.status()));
      sender.permit = *std::move(permit);
    }
  }
  if (const auto endpoint = Generates(route)) {
    return {.exchange = MakeGeneration(*endpoint, service_, pool_, std::move(request),
                                       std::move(sender), std::move(waker)),
            .route = route};
  }
  if (route == kTokenize || route == kDetokenize) {
    auto make = [this, route, permit = sender.permit, body = std::move(request.body)] {
      return route == kTokenize ? Tokenize(service_, permit, body)
                                : Detokenize(service_, permit.get(), body);
    };
    return {.exchange = std::make_unique<PooledAnswer>(pool_, std::move(make), std::move(waker)),
            .route = route};
  }
  if (route == playground::kPage || route == playground::kFile) {
    return answer(playground::Respond(request));
  }
  if (route == kModels) return answer(ListModels(VisibleModels(service_, caller.get())));
  if (route == kModel) {
    return answer(
        OneModel(VisibleModels(service_, caller.get()), request.path.substr(kModelPrefix.size())));
  }
  if (route == kTokenizerInfo) return answer(TokenizerInfo(service_, caller.get(), request));
  if (route == kVersionRoute) {
    return answer({.body = absl::StrCat("{\"version\":\"", std::string(kVersion), "\"}")});
  }
  if (route == kOpenApi) return answer({.body = std::string(OpenApiDocument())});
  const absl::Status ready = service_.Ready();
  if (!ready.ok()) {
    return answer(ErrorResponse(absl::UnavailableError(ready.message())));
  }
  return answer({.body = "{\"status\":\"ok\"}"});
}

std::span<const std::string_view> Routes() { return kRoutes; }

void ConfigureHttp(http::HttpOptions& options, const Cors& cors) {
  options.common_headers = cors.CommonHeaders();
  options.render_refusal = [](const http::HttpRefusal& refusal) {
    return ErrorResponse(refusal.status, refusal.message);
  };
}

}  // namespace weft::openai
