#include "gateway/http/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/http/connection.h"
#include "gateway/http/http_metrics.h"
#include "gateway/http/loop.h"

namespace weft::http {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// Out of descriptors: the clients wait in the listen queue meanwhile.
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);

HttpResponse PlainRefusal(const HttpRefusal& refusal) {
  return {.status = refusal.status,
          .content_type = "text/plain; charset=utf-8",
          .body = absl::StrCat(refusal.message, "\n")};
}

std::vector<std::shared_ptr<Loop>> MakeLoops(int num_threads) {
  std::vector<std::shared_ptr<Loop>> loops;
  for (int i = 0; i < std::max(num_threads, 1); ++i) loops.push_back(std::make_shared<Loop>());
  return loops;
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpOptions given, Metrics& registry, Handler handle,
       std::unique_ptr<TlsContext> tls_context)
      : options(std::move(given)),
        handler(std::move(handle)),
        metrics(registry),
        tls(std::move(tls_context)),
        loops(MakeLoops(options.threads)) {}

  Loop& FirstLoop() { return *loops.front(); }

  absl::Status Listen() {
    boost::system::error_code error;
    tcp::resolver resolver(FirstLoop().context());
    const auto found =
        resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
    if (error || found.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--host ", options.host, " is no address to listen on: ", error.message()));
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.emplace(FirstLoop().context());
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options.host, ":",
                                                 options.port, ": ", error.message()));
    }
    port = acceptor->local_endpoint().port();
    return absl::OkStatus();
  }

  // On the first loop's thread.
  void Accept() {
    const std::shared_ptr<Loop> loop = *std::min_element(
        loops.begin(), loops.end(),
        [](const auto& a, const auto& b) { return a->num_connections() < b->num_connections(); });
    acceptor->async_accept(
        loop->context(), [this, loop](boost::system::error_code error, tcp::socket socket) {
          if (error == asio::error::operation_aborted || !acceptor->is_open()) return;
          if (error) {
            spdlog::warn("cannot accept a connection: {}", error.message());
            retry.expires_after(kAcceptRetry);
            retry.async_wait([this](boost::system::error_code cancelled) {
              if (!cancelled) Accept();
            });
            return;
          }
          loop->Adopt(std::make_shared<Connection>(std::move(socket), loop, shared));
          Accept();
        });
  }

  HttpOptions options;
  const Handler handler;
  HttpMetrics metrics;
  const std::unique_ptr<TlsContext> tls;  // null: plain
  const Connection::Shared shared{options, handler, metrics, tls.get()};
  const std::vector<std::shared_ptr<Loop>> loops;
  std::optional<tcp::acceptor> acceptor;
  asio::steady_timer retry{FirstLoop().context()};
  int port = 0;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpOptions options, Metrics& metrics,
                                                              Handler handler) {
  if (!options.render_refusal) options.render_refusal = PlainRefusal;
  std::unique_ptr<TlsContext> tls;
  if (!options.tls.empty()) {
    auto loaded = TlsContext::Start(options.tls, metrics);
    if (!loaded.ok()) return loaded.status();
    tls = *std::move(loaded);
  }
  auto impl =
      std::make_unique<Impl>(std::move(options), metrics, std::move(handler), std::move(tls));
  if (absl::Status status = impl->Listen(); !status.ok()) return status;
  asio::post(impl->FirstLoop().context(), [impl = impl.get()] { impl->Accept(); });
  for (const auto& loop : impl->loops) loop->Run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  Drain();
  for (const auto& loop : impl_->loops) loop->Stop();
}

int HttpServer::port() const { return impl_->port; }

void HttpServer::Drain() {
  asio::post(impl_->FirstLoop().context(), [impl = impl_.get()] {
    boost::system::error_code ignored;
    impl->acceptor->close(ignored);
    impl->retry.cancel();
    for (const auto& loop : impl->loops) loop->Drain();
  });
}

bool HttpServer::WaitIdle(absl::Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  while (num_connections() > 0) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

int HttpServer::num_connections() const {
  int sum = 0;
  for (const auto& loop : impl_->loops) sum += loop->num_connections();
  return sum;
}

}  // namespace weft::http
