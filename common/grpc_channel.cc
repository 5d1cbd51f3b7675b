#include "common/grpc_channel.h"

#include <grpcpp/create_channel.h>

namespace weft {
namespace {

// A peer that is silent is noticed within 3 s.
constexpr int kPingMs = 1000;
constexpr int kPingTimeoutMs = 1700;
constexpr int kRedialMinMs = 50;
constexpr int kRedialMaxMs = 1000;

}  // namespace

std::shared_ptr<grpc::Channel> PeerChannel(const std::string& address, const PeerTls& tls) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kRedialMinMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kRedialMinMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kRedialMaxMs);
  // Two channels to one address must not share a connection: a peer that is held
  // for lost is left by its channel.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  if (!tls.scheduler_name.empty()) arguments.SetSslTargetNameOverride(tls.scheduler_name);
  return grpc::CreateCustomChannel(address, ChannelTlsCredentials(tls.files), arguments);
}

void ConfigurePeerServer(grpc::ServerBuilder& builder, const std::string& address, int* port,
                         const PeerTls& tls) {
  builder.AddListeningPort(address, ServerTlsCredentials(tls.files), port);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingMs / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  // A second process on the same port must fail, not share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
}

}  // namespace weft
