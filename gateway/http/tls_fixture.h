// For tests: certificates made on the spot, and a client that speaks TLS as it is told to.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/http/raw_client.h"
#include "gateway/http/tls_context.h"
#include "gtest/gtest.h"

namespace weft::http {

// A certificate of that name, signed with its own key; `days` may lie behind.
inline void WriteCertificate(const TlsFiles& files, const std::string& name, int days = 1) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, void (*)(X509*)> cert(X509_new(), X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -2 * 86400);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), days * 86400L);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(cert.get(), subject);
  ASSERT_GT(X509_sign(cert.get(), key.get(), EVP_sha256()), 0);
  const auto write = [](const std::string& path, auto put) {
    FILE* file = std::fopen((path + ".new").c_str(), "w");
    ASSERT_NE(file, nullptr);
    put(file);
    std::fclose(file);
    ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  };
  if (!files.cert.empty()) write(files.cert, [&](FILE* f) { PEM_write_X509(f, cert.get()); });
  if (!files.key.empty()) {
    write(files.key, [&](FILE* f) {
      PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
}

// Trusts whatever it is shown, and says what that was.
class TlsClient {
 public:
  struct Options {
    int max_version = TLS1_3_VERSION;
    std::string alpn;  // each with its length before it
    int receive_buffer = 0;
    TlsFiles own = {};  // what it shows of itself
  };
  explicit TlsClient(int port, const Options& options)
      : raw_(port, options.receive_buffer),
        context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        ssl_(nullptr, SSL_free) {
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    if (!options.own.empty()) {
      SSL_CTX_use_certificate_chain_file(context_.get(), options.own.cert.c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), options.own.key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_.reset(SSL_new(context_.get()));
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
                          static_cast<unsigned>(options.alpn.size()));
    }
    SSL_set_fd(ssl_.get(), raw_.fd());
    is_up_ = SSL_connect(ssl_.get()) == 1;
  }
  explicit TlsClient(int port) : TlsClient(port, Options{}) {}
  ~TlsClient() { ERR_clear_error(); }

  bool is_up() const { return is_up_; }
  SSL* ssl() { return ssl_.get(); }
  std::string protocol() const { return SSL_get_version(ssl_.get()); }
  std::string alpn() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string certificate_name() const {
    const std::unique_ptr<X509, void (*)(X509*)> cert(SSL_get1_peer_certificate(ssl_.get()),
                                                      X509_free);
    char name[128] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert.get()), NID_commonName, name, sizeof name);
    return name;
  }

  bool Send(std::string_view bytes) {
    size_t written = 0;
    return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1;
  }
  // Until it has seen `end`, or the server's goodbye.
  std::string ReadUntil(std::string_view end) {
    std::string all;
    char buffer[8192];
    size_t n = 0;
    while (all.find(end) == std::string::npos &&
           SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &n) == 1) {
      all.append(buffer, n);
    }
    return all;
  }
  // Whether the server has ended as TLS ends.
  bool GotGoodbye() {
    ReadUntil(std::string_view("\0never\0", 7));
    return SSL_get_error(ssl_.get(), 0) == SSL_ERROR_ZERO_RETURN;
  }

 private:
  RawClient raw_;
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool is_up_ = false;
};

}  // namespace weft::http
