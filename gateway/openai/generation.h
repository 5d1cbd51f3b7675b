// One call of a generating endpoint, from its body to its last byte.
//
//   parse  ->  Service::Start for each prompt  ->  events  ->  answer or stream
//
// Nothing is sent before the first event, so that what fails early is answered with
// its status. Destroyed early, it cancels all that it started.
#pragma once

#include <memory>
#include <string>

#include "gateway/http/exchange.h"
#include "gateway/inference/service.h"
#include "gateway/inference/work_pool.h"
#include "gateway/openai/request.h"

namespace weft::openai {

// Whose call it is: what of it goes into each of its requests.
struct Sender {
  std::string tenant;
  std::shared_ptr<auth::Permit> permit;  // null where no keys are asked for
};

// `service` and `pool` outlive the exchange.
std::unique_ptr<http::Exchange> MakeGeneration(Endpoint endpoint, gateway::Service& service,
                                               gateway::WorkPool& pool, http::HttpRequest request,
                                               Sender sender, http::Waker waker);

}  // namespace weft::openai
