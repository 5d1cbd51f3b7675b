// gRPC channels and servers as every tier uses them between each other: long
// streams, peers that may vanish without a word.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "common/peer_tls.h"

namespace weft {

// To a peer tier. Pings every second while a stream is open, and holds the peer
// for lost after two more without an answer; redials with at most 1 s between
// tries. Messages up to kMaxMessageBytes.
std::shared_ptr<grpc::Channel> PeerChannel(const std::string& address, const PeerTls& tls = {});

// A server for peer tiers: the same pings the other way round, and it accepts
// theirs (gRPC's default would answer them with GOAWAY too_many_pings).
// `port` receives the port bound; 0 after BuildAndStart: it was taken.
void ConfigurePeerServer(grpc::ServerBuilder& builder, const std::string& address, int* port,
                         const PeerTls& tls = {});

// A prompt of 131,072 ids is 0.7 MB; a step of 256 such, entering at once, 64 MB.
inline constexpr int kMaxMessageBytes = 256 << 20;

}  // namespace weft
