// A client of weft.v1.InferenceService: a streamed chat, then tokens in and tokens out.
//
//   client [ADDRESS [TIMEOUT_S [QUESTION]]]
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "weft/v1/inference.grpc.pb.h"

namespace {

namespace pb = weft::v1;
using Clock = std::chrono::system_clock;
using std::chrono::milliseconds;

// How long the server would like to be left alone.
milliseconds RetryDelay(const grpc::Status& status) {
  google::rpc::Status rich;
  google::rpc::RetryInfo retry;
  if (rich.ParseFromString(status.error_details())) {
    for (const auto& detail : rich.details()) {
      if (!detail.UnpackTo(&retry)) continue;
      return milliseconds(retry.retry_delay().seconds() * 1000 +
                          retry.retry_delay().nanos() / 1'000'000);
    }
  }
  return milliseconds(500);  // nobody was there to say
}

// Calls until the server is there and has room, or the deadline is near. A context is
// for one attempt.
grpc::Status WithRetries(Clock::time_point deadline,
                         const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    const grpc::Status status = call(context);
    const milliseconds delay = RetryDelay(status);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || Clock::now() + delay > deadline) {
      return status;
    }
    std::cerr << "unavailable (" << status.error_message() << "), again in "
              << static_cast<double>(delay.count()) / 1000 << " s\n";
    std::this_thread::sleep_for(delay);
  }
}

// Prints text as it comes, what the model thinks apart from what it says.
class Printer {
 public:
  void Print(const pb::ChatChoice& choice) {
    Print("thinking", choice.message().reasoning_content());
    Print("answer", choice.message().content());
    if (!choice.finish_reason().empty()) {
      std::cout << "\nended: " << choice.finish_reason() << std::endl;
    }
  }

 private:
  void Print(const std::string& part, const std::string& text) {
    if (text.empty()) return;
    if (part != part_) std::cout << (part_.empty() ? "" : "\n") << part << ": ";
    part_ = part;
    std::cout << text << std::flush;
  }

  std::string part_;
};

grpc::Status StreamChat(pb::InferenceService::Stub& stub, const pb::ChatMessage& question,
                        Clock::time_point deadline) {
  pb::ChatRequest request;
  *request.add_messages() = question;
  request.mutable_options()->set_temperature(0);
  grpc::Status broken;  // an answer that has begun cannot be asked for again
  const grpc::Status status = WithRetries(deadline, [&](grpc::ClientContext& context) {
    const auto reader = stub.StreamChat(&context, request);
    pb::ChatChunk chunk;
    if (!reader->Read(&chunk)) return reader->Finish();
    Printer printer;
    do {
      for (const auto& choice : chunk.choices()) printer.Print(choice);
    } while (reader->Read(&chunk));
    broken = reader->Finish();
    return grpc::Status::OK;
  });
  return status.ok() ? broken : status;
}

// For those that keep token ids themselves: the same question, and how its answer begins.
grpc::Status CompleteTokens(pb::InferenceService::Stub& stub, const pb::ChatMessage& question,
                            Clock::time_point deadline) {
  pb::TokenizeRequest tokenize;
  *tokenize.mutable_chat()->add_messages() = question;
  pb::TokenizeResponse prompt;
  grpc::Status status = WithRetries(deadline, [&](grpc::ClientContext& context) {
    return stub.Tokenize(&context, tokenize, &prompt);
  });
  if (!status.ok()) return status;

  pb::CompletionRequest request;
  *request.mutable_tokens()->mutable_ids() = prompt.tokens();
  request.mutable_options()->set_max_tokens(8);
  request.mutable_options()->set_temperature(0);
  request.mutable_options()->set_return_token_ids(true);
  pb::CompletionResponse answer;
  status = WithRetries(deadline, [&](grpc::ClientContext& context) {
    return stub.Complete(&context, request, &answer);
  });
  if (!status.ok()) return status;
  std::cout << "tokens in:";
  for (const int id : prompt.tokens()) std::cout << ' ' << id;
  std::cout << "\ntokens out:";
  for (const int id : answer.choices(0).token_ids()) std::cout << ' ' << id;
  std::cout << std::endl;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "127.0.0.1:8001";
  const double timeout_s = argc > 2 ? std::atof(argv[2]) : 60;
  pb::ChatMessage question;
  question.set_role("user");
  question.set_content(argc > 3 ? argv[3] : "What is 17 + 25?");
  const auto deadline = Clock::now() + milliseconds(static_cast<int64_t>(timeout_s * 1000));
  const auto stub = pb::InferenceService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::Status status = StreamChat(*stub, question, deadline);
  if (status.ok()) status = CompleteTokens(*stub, question, deadline);
  if (status.ok()) return 0;
  std::cerr << '\n'
            << (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
                    ? "DEADLINE_EXCEEDED"
                    : "status " + std::to_string(status.error_code()))
            << ": " << status.error_message() << std::endl;
  return 1;
}
