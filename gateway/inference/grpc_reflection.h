// Server reflection (grpc.reflection.v1alpha), as gRPC's own plugin has it but for one thing:
// it can ask for a key first. The plugin's cannot be told to.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace weft::gateway {

class GrpcReflection final : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  // `services`: the full names of those that are told of. `admit` judges each call.
  using Admit = std::function<grpc::Status(const grpc::CallbackServerContext&)>;
  GrpcReflection(std::vector<std::string> services, Admit admit)
      : services_(std::move(services)), admit_(std::move(admit)) {}

  grpc::ServerBidiReactor<grpc::reflection::v1alpha::ServerReflectionRequest,
                          grpc::reflection::v1alpha::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const std::vector<std::string> services_;
  const Admit admit_;
};

}  // namespace weft::gateway
