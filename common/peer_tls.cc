#include "common/peer_tls.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/flags.h"

namespace weft {
namespace {

constexpr unsigned kRefreshSeconds = 1;

const TlsFlagNames& PeerFlagNames() {
  static const auto* names = new TlsFlagNames{"--peer-tls-cert", "--peer-tls-key", "--peer-tls-ca"};
  return *names;
}

bool IsThisMachine(absl::string_view address) {
  const absl::string_view host = address.substr(0, address.rfind(':'));
  return absl::StartsWith(host, "127.") || host == "localhost" || host == "[::1]" || host == "::1";
}

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Watch(const TlsFiles& files) {
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.cert, files.ca, kRefreshSeconds);
}

}  // namespace

void AddPeerTlsFlags(Flags& flags, PeerTls& tls, bool dials) {
  const TlsFlagNames& names = PeerFlagNames();
  flags.Add(names.cert, tls.files.cert,
            "PEM file of the certificate that this process shows the other tiers. Read again when "
            "it changes, like the next two");
  flags.Add(names.key, tls.files.key, "PEM file of that certificate's key, without a password");
  flags.Add(names.ca, tls.files.ca,
            "PEM file of the authorities that the other tiers' certificates must come from");
  if (dials) {
    flags.Add("--peer-scheduler-name", tls.scheduler_name,
              "Name that the scheduler's certificate must have, whatever address is dialled "
              "(default: the host that is dialled)");
  }
  flags.AddSwitch("--plaintext-peers", tls.allows_plaintext,
                  "Allows plaintext between the tiers across machines, where no certificates are "
                  "given");
}

absl::Status CheckPeerTls(const PeerTls& tls, const std::string& flag,
                          const std::string& addresses) {
  const TlsFlagNames& names = PeerFlagNames();
  if (!tls.files.empty()) {
    if (tls.allows_plaintext) {
      return absl::InvalidArgumentError(
          absl::StrCat("--plaintext-peers and ", names.cert, " exclude each other"));
    }
    if (tls.files.ca.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(names.cert, " is given without ", names.ca,
                       ": the tiers show each other certificates, and check them"));
    }
    return LoadTls(tls.files, names).status();
  }
  if (tls.allows_plaintext) return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(addresses, ',')) {
    const absl::string_view address = absl::StripAsciiWhitespace(part);
    if (IsThisMachine(address)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " ", address, " reaches beyond this machine: give ", names.cert, ", ", names.key,
        " and ", names.ca, ", or --plaintext-peers if the network between is yours alone"));
  }
  return absl::OkStatus();
}

bool PeerHasName(const grpc::ServerContextBase& context, const std::string& name) {
  if (name.empty()) return true;
  const auto names = context.auth_context()->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME);
  return std::any_of(names.begin(), names.end(), [&](const grpc::string_ref& one) {
    return absl::string_view(one.data(), one.size()) == name;
  });
}

std::shared_ptr<grpc::ServerCredentials> ServerTlsCredentials(const TlsFiles& files) {
  if (files.empty()) return grpc::InsecureServerCredentials();
  grpc::experimental::TlsServerCredentialsOptions options(Watch(files));
  options.watch_identity_key_cert_pairs();
  if (files.ca.empty()) {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ChannelTlsCredentials(const TlsFiles& files) {
  if (files.empty()) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace weft
