// How an answer comes about: the handler makes one Exchange per request, and the
// connection asks it for more whenever there may be some and all before has been
// written. So an answer never outruns its reader, and needs no locks.
//
//   handler(request, waker) -> Exchange      a whole request has arrived
//   exchange.Advance(writer)                 at first; after each wake; after each write
//   ~Exchange()                              answered, or the client is gone: cancel
//
// All of it on the connection's one thread; only the Waker may be used elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/http/message.h"
#include "gateway/http/response_writer.h"

namespace weft::http {

// Has Advance called soon. Any thread, any number of times, also when the exchange
// or the server is long gone: then nothing happens.
using Waker = std::function<void()>;

class Exchange {
 public:
  virtual ~Exchange() = default;

  // Writes what there is, perhaps nothing. Called without cause, too. Must not
  // block: the thread carries other connections.
  virtual void Advance(ResponseWriter& writer) = 0;
};

struct Routed {
  std::unique_ptr<Exchange> exchange;
  std::string_view route;  // for metrics: a template of static storage ("/v1/models/{id}")
  std::string headers;     // complete lines that the answer carries, whatever it will be
};

// Called on the connection's thread; must not block.
using Handler = std::function<Routed(HttpRequest request, Waker waker)>;

// An answer that is known at once.
std::unique_ptr<Exchange> Answer(HttpResponse response);

}  // namespace weft::http
