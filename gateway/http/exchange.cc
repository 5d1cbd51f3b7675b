#include "gateway/http/exchange.h"

#include <utility>

namespace weft::http {
namespace {

class AnswerExchange : public Exchange {
 public:
  explicit AnswerExchange(HttpResponse response) : response_(std::move(response)) {}
  void Advance(ResponseWriter& writer) override { writer.Reply(std::move(response_)); }

 private:
  HttpResponse response_;
};

}  // namespace

std::unique_ptr<Exchange> Answer(HttpResponse response) {
  return std::make_unique<AnswerExchange>(std::move(response));
}

}  // namespace weft::http
