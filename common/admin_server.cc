#include "common/admin_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr auto kIdleTimeout = std::chrono::seconds(30);
constexpr size_t kMaxBodyBytes = 4096;  // no route takes a body

Response Answer(const Request& request, http::status status, std::string body) {
  Response response(status, request.version());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.keep_alive(request.keep_alive());
  response.body() = std::move(body);
  response.prepare_payload();
  return response;
}

Response Route(const Request& request, const Metrics& metrics, const AdminHandlers& handlers) {
  const beast::string_view path = request.target().substr(0, request.target().find('?'));
  const bool is_get = request.method() == http::verb::get || request.method() == http::verb::head;
  if (path == "/drain") {
    // HEAD asks what a GET would say, and must change nothing.
    if (request.method() != http::verb::post && request.method() != http::verb::get) {
      Response response = Answer(request, http::status::method_not_allowed, "use POST\n");
      response.set(http::field::allow, "GET, POST");
      return response;
    }
    handlers.drain();
    return Answer(request, http::status::accepted, "draining\n");
  }
  const bool is_debug = path == "/debug/state" && handlers.debug_state;
  if (path != "/metrics" && path != "/healthz" && path != "/readyz" && !is_debug) {
    return Answer(request, http::status::not_found,
                  "here are /metrics, /healthz, /readyz and /drain\n");
  }
  if (!is_get) {
    Response response = Answer(request, http::status::method_not_allowed, "use GET\n");
    response.set(http::field::allow, "GET, HEAD");
    return response;
  }
  if (path == "/healthz") return Answer(request, http::status::ok, "ok\n");
  if (is_debug) return Answer(request, http::status::ok, handlers.debug_state());
  if (path == "/readyz") {
    const absl::Status ready = handlers.ready();
    if (ready.ok()) return Answer(request, http::status::ok, "ready\n");
    return Answer(request, http::status::service_unavailable, absl::StrCat(ready.message(), "\n"));
  }
  Response response = Answer(request, http::status::ok, metrics.Text());
  response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
  return response;
}

// One connection: read, answer, again.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const Metrics& metrics, const AdminHandlers& handlers)
      : stream_(std::move(socket)), metrics_(metrics), handlers_(handlers) {}

  void Read() {
    parser_.emplace();
    parser_->body_limit(kMaxBodyBytes);
    stream_.expires_after(kIdleTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, size_t) {
                       if (!error) self->Write();
                     });
  }

 private:
  void Write() {
    const Request& request = parser_->get();
    response_ = Route(request, metrics_, handlers_);
    if (request.method() == http::verb::head) response_.body().clear();
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, size_t) {
                        if (error || !self->response_.keep_alive()) return;
                        self->Read();
                      });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
  const Metrics& metrics_;
  const AdminHandlers& handlers_;
};

}  // namespace

struct AdminServer::Impl {
  Impl(const Metrics& metrics, AdminHandlers handlers)
      : metrics(metrics), handlers(std::move(handlers)) {}

  void Accept() {
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) std::make_shared<Connection>(std::move(socket), metrics, handlers)->Read();
      Accept();
    });
  }

  const Metrics& metrics;
  const AdminHandlers handlers;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& host, int port,
                                                                const Metrics& metrics,
                                                                AdminHandlers handlers) {
  auto impl = std::make_unique<Impl>(metrics, std::move(handlers));
  beast::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("admin host is no address: ", host));
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(port));
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on admin port ", host, ":", port, ": ", error.message()));
  }
  impl->Accept();
  impl->thread = std::thread([raw = impl.get()] { raw->context.run(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
  impl_->context.stop();
  impl_->thread.join();
}

int AdminServer::port() const {
  beast::error_code error;
  return impl_->acceptor.local_endpoint(error).port();
}

}  // namespace weft
