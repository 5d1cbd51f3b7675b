// The OpenAI API as an HTTP handler.
//
//   POST /v1/chat/completions   POST /v1/completions
//   POST /v1/responses          any  /v1/responses/{id}: 404, for nothing is stored
//   GET  /v1/models             GET  /v1/models/{id}
//   POST /tokenize              POST /detokenize
//   GET  /tokenizer_info, with ?model= where there are several
//   GET  /health                GET  /version                GET  /openapi.json
//   GET  /                      GET  /playground/{file}, unless switched off
//
// HEAD goes where GET does; OPTIONS anywhere, for browsers that ask first.
//
// Where keys are asked for, every route asks, also those that do not exist, but for the few
// that kOpenRoutes in api.cc names; what takes a body is a request that limits count.
//
//   openai::Api api(service, {.access = &access});
//   openai::ConfigureHttp(http_options);
//   auto server = http::HttpServer::Start(http_options, metrics, api.handler());
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gateway/auth/access.h"
#include "gateway/http/exchange.h"
#include "gateway/http/server.h"
#include "gateway/inference/service.h"
#include "gateway/inference/work_pool.h"
#include "gateway/openai/cors.h"

namespace weft::openai {

struct ApiOptions {
  // Names a request's tenant, in lower case; empty: all are one tenant. A key's own tenant
  // goes before.
  std::string tenant_header;
  const auth::Access* access = nullptr;  // outlives the api; null: nobody is asked for a key
  Cors cors;
  bool has_playground = true;
};

class Api {
 public:
  // `service` outlives the api, and the api the server.
  explicit Api(gateway::Service& service, ApiOptions options = {});

  http::Handler handler();

 private:
  http::Routed Route(http::HttpRequest request, http::Waker waker);
  http::Routed Dispatch(std::string_view route, http::HttpRequest request,
                        std::shared_ptr<const auth::Caller> caller, http::Waker waker);

  gateway::Service& service_;
  const ApiOptions options_;
  gateway::WorkPool pool_;
};

// Every route, as a template: /v1/models/{id}.
std::span<const std::string_view> Routes();

// Refusals in OpenAI's form, and what browsers need of another origin.
void ConfigureHttp(http::HttpOptions& options, const Cors& cors = {});

}  // namespace weft::openai
