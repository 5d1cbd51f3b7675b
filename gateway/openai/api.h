// The OpenAI API as an HTTP handler.
//
//   POST /v1/chat/completions   POST /v1/completions
//   GET  /v1/models             GET  /v1/models/{id}
//   POST /tokenize              POST /detokenize
//   GET  /health                GET  /version
//
// HEAD goes where GET does; OPTIONS anywhere, for browsers that ask first.
//
//   openai::Api api(service);
//   openai::ConfigureHttp(http_options);
//   auto server = http::HttpServer::Start(http_options, metrics, api.handler());
#pragma once

#include "gateway/http/exchange.h"
#include "gateway/http/server.h"
#include "gateway/inference/service.h"
#include "gateway/inference/work_pool.h"

namespace weft::openai {

class Api {
 public:
  // `service` outlives the api, and the api the server.
  explicit Api(gateway::Service& service);

  http::Handler handler();

 private:
  http::Routed Route(http::HttpRequest request, http::Waker waker);

  gateway::Service& service_;
  gateway::WorkPool pool_;
};

// Refusals in OpenAI's form, and what browsers need of another origin.
void ConfigureHttp(http::HttpOptions& options);

}  // namespace weft::openai
