// How the tiers know each other. Between machines they speak TLS in which both sides show a
// certificate of the same authorities, or plaintext where that is asked for.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/tls_files.h"

namespace weft {

class Flags;

struct PeerTls {
  // All three, or none. gRPC reads them again once a second: open streams keep what they began
  // with, and while the files are no pair new connections fail.
  TlsFiles files;
  // Of who dials: the name (a DNS SAN) that the scheduler's certificate must have; empty: the
  // host that is dialled.
  std::string scheduler_name;
  bool allows_plaintext = false;
};

// --peer-tls-cert, --peer-tls-key, --peer-tls-ca, --plaintext-peers; of those who dial,
// --peer-scheduler-name, too.
void AddPeerTlsFlags(Flags& flags, PeerTls& tls, bool dials);

// InvalidArgument for files that cannot be used (LoadTls), and for no files where an address is
// not this machine's and plaintext was not asked for. `flag` gave `addresses`: "host:port",
// several with commas between.
absl::Status CheckPeerTls(const PeerTls& tls, const std::string& flag,
                          const std::string& addresses);

// Whether the certificate of who calls has this name (a DNS or URI SAN). An empty name is
// anybody's.
bool PeerHasName(const grpc::ServerContextBase& context, const std::string& name);

// TLS as `files` say, plaintext without files. With a `ca`, callers must show a certificate.
std::shared_ptr<grpc::ServerCredentials> ServerTlsCredentials(const TlsFiles& files);
std::shared_ptr<grpc::ChannelCredentials> ChannelTlsCredentials(const TlsFiles& files);

}  // namespace weft
