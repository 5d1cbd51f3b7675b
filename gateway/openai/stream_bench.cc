// What a streamed token costs the gateway's network threads, sockets included: many
// streams, all given a token at one moment, as a step of the scheduler does it.
//
//   stream_bench [streams=256] [tokens per stream and second=200] [seconds=5]
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gateway/http/raw_client.h"
#include "gateway/openai/api.h"
#include "gateway/openai/scripted_service.h"

namespace weft::openai {
namespace {

using Clock = std::chrono::steady_clock;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The clients, in a process of their own so that their time is not ours.
[[noreturn]] void ReadAll(int port, int num_streams) {
  const std::string body = R"({"stream":true,"messages":[{"role":"user","content":"hi"}]})";
  const std::string request =
      absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(),
                   "\r\n\r\n", body);
  std::vector<std::unique_ptr<http::RawClient>> clients;
  std::vector<pollfd> waiting;
  for (int i = 0; i < num_streams; ++i) {
    clients.push_back(std::make_unique<http::RawClient>(port));
    clients.back()->Send(request);
    waiting.push_back({clients.back()->fd(), POLLIN, 0});
  }
  int num_open = num_streams;
  static char buffer[1 << 16];
  while (num_open > 0 && poll(waiting.data(), waiting.size(), 5000) > 0) {
    for (pollfd& one : waiting) {
      if (one.fd >= 0 && one.revents != 0 && read(one.fd, buffer, sizeof buffer) <= 0) {
        one.fd = -1;
        --num_open;
      }
    }
  }
  _exit(num_open);
}

int Run(int num_streams, int rate, int seconds) {
  Metrics metrics("gateway");
  ScriptedService service;
  Api api(service);
  http::HttpOptions options{.host = "127.0.0.1", .port = 0, .threads = 2};
  ConfigureHttp(options);
  auto server = http::HttpServer::Start(options, metrics, api.handler());
  if (!server.ok()) return 1;
  const pid_t reader = fork();
  if (reader == 0) ReadAll((*server)->port(), num_streams);
  std::vector<std::shared_ptr<Script>> scripts;
  for (int i = 0; i < num_streams; ++i) scripts.push_back(service.script(static_cast<size_t>(i)));

  const double cpu_before = CpuSeconds();
  const auto begin = Clock::now();
  for (int step = 0; step < rate * seconds; ++step) {
    for (const auto& script : scripts) script->Text(" token");
    std::this_thread::sleep_until(begin + (step + 1) * std::chrono::microseconds(1'000'000 / rate));
  }
  const std::chrono::duration<double> wall = Clock::now() - begin;
  const double cpu = CpuSeconds() - cpu_before;
  const double tokens = static_cast<double>(num_streams) * rate * seconds;
  std::printf("%d streams: %.0f tokens/s, %.2f us of CPU per token (%.2f cores)\n", num_streams,
              tokens / wall.count(), cpu / tokens * 1e6, cpu / wall.count());
  for (const auto& script : scripts) script->Push(gateway::Failed{absl::CancelledError("end")});
  (*server)->Drain();
  (*server)->WaitIdle(absl::Seconds(5));
  server->reset();
  int status = 0;
  waitpid(reader, &status, 0);
  return status;
}

}  // namespace
}  // namespace weft::openai

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  return weft::openai::Run(argument(1, 256), argument(2, 200), argument(3, 5));
}
