#include "scheduler/election/kube_lease.h"

#include <boost/json.hpp>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/curl.h"
#include "common/json_fields.h"

namespace weft::scheduler {
namespace {

namespace json = boost::json;

// Of a request, all told: less than what a holder has left when one is lost.
constexpr long kTimeoutMs = 1000;
constexpr const char* kTerm = "weft.dev/term";
constexpr const char* kAddress = "weft.dev/address";

// Of the account's; empty if there is none.
std::string ReadAccount(const std::string& path) {
  constexpr int64_t kMaxBytes = 1 << 20;
  const auto text = ReadFile(path, kMaxBytes);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

// A text in an object in `object`; empty if it is not there.
std::string Text(const json::object& object, const char* section, const char* key) {
  const json::value* found = object.if_contains(section);
  if (found == nullptr || !found->is_object()) return "";
  const json::value* text = found->as_object().if_contains(key);
  return text != nullptr && text->is_string() ? std::string(text->as_string()) : "";
}

// RFC 3339 with microseconds, as the API server wants its MicroTime.
std::string MicroTimeNow() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc;
  gmtime_r(&now.tv_sec, &utc);
  char seconds[32];
  strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
  return absl::StrFormat("%s.%06dZ", seconds, now.tv_nsec / 1000);
}

struct Answer {
  long status = 0;
  std::string body;
};

class KubeLeaseStore final : public LeaseStore {
 public:
  explicit KubeLeaseStore(KubeLeaseOptions options)
      : options_(std::move(options)),
        collection_(absl::StrCat(options_.api_url, "/apis/coordination.k8s.io/v1/namespaces/",
                                 options_.name_space, "/leases")),
        curl_(curl_easy_init()) {}

  absl::StatusOr<Lease> Get() override {
    const auto answer = Send("GET", absl::StrCat(collection_, "/", options_.name), "");
    if (!answer.ok()) return answer.status();
    if (answer->status == 404) {
      object_ = {};
      return Lease();
    }
    return Read(*answer);
  }

  absl::StatusOr<Lease> Put(const Lease& lease) override {
    const bool is_new = lease.version.empty();
    const std::string body = json::serialize(Object(lease));
    const auto answer = is_new ? Send("POST", collection_, body)
                               : Send("PUT", absl::StrCat(collection_, "/", options_.name), body);
    if (!answer.ok()) return answer.status();
    return Read(*answer);
  }

 private:
  // The object as last read, with what is ours changed.
  json::object Object(const Lease& lease) const {
    json::object object = object_;
    object["apiVersion"] = "coordination.k8s.io/v1";
    object["kind"] = "Lease";
    json::object& metadata = Child(object, "metadata");
    metadata["name"] = options_.name;
    metadata["namespace"] = options_.name_space;
    if (!lease.version.empty()) metadata["resourceVersion"] = lease.version;
    json::object& annotations = Child(metadata, "annotations");
    annotations[kTerm] = absl::StrCat(lease.term);
    annotations[kAddress] = lease.address;
    json::object& spec = Child(object, "spec");
    const json::value* holder = spec.if_contains("holderIdentity");
    const bool changes_hands = holder == nullptr || *holder != json::value(lease.holder);
    const std::string now = MicroTimeNow();
    if (changes_hands && !lease.holder.empty()) {
      const json::value* transitions = spec.if_contains("leaseTransitions");
      spec["leaseTransitions"] =
          transitions != nullptr && transitions->is_int64() ? transitions->as_int64() + 1 : 0;
      spec["acquireTime"] = now;
    }
    spec["holderIdentity"] = lease.holder;
    spec["leaseDurationSeconds"] = LeaseElection::kDuration.count() / 1000;
    spec["renewTime"] = now;
    return object;
  }

  static json::object& Child(json::object& parent, const char* key) {
    json::value& child = parent[key];
    if (!child.is_object()) child.emplace_object();
    return child.as_object();
  }

  absl::StatusOr<Lease> Read(const Answer& answer) {
    if (answer.status == 409) return absl::AbortedError("another was faster");
    if (answer.status != 200 && answer.status != 201) return Refusal(answer);
    auto object = ParseJsonObject(answer.body);
    if (!object.ok()) {
      return absl::UnavailableError("the API server's answer is not a JSON object");
    }
    object_ = *std::move(object);
    Lease lease = {.holder = Text(object_, "spec", "holderIdentity"),
                   .version = Text(object_, "metadata", "resourceVersion")};
    if (lease.version.empty()) return absl::UnavailableError("a Lease without resourceVersion");
    const json::object& metadata = object_.at("metadata").as_object();
    lease.address = Text(metadata, "annotations", kAddress);
    (void)absl::SimpleAtoi(Text(metadata, "annotations", kTerm), &lease.term);
    return lease;
  }

  // The API server says why in `message`.
  absl::Status Refusal(const Answer& answer) const {
    std::string message;
    if (const auto object = ParseJsonObject(answer.body); object.ok()) {
      const json::value* text = object->if_contains("message");
      if (text != nullptr && text->is_string()) message = std::string(text->as_string());
    }
    return absl::UnavailableError(absl::StrCat("the API server at ", options_.api_url,
                                               " answers HTTP ", answer.status,
                                               message.empty() ? "" : ": ", message));
  }

  absl::StatusOr<Answer> Send(const char* method, const std::string& url, const std::string& body) {
    Answer answer;
    CURL* const c = curl_.get();
    curl_easy_reset(c);  // connections stay
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, kTimeoutMs);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    const std::string authority = options_.account_folder + "/ca.crt";
    if (std::ifstream(authority)) curl_easy_setopt(c, CURLOPT_CAINFO, authority.c_str());
    CurlHeaders headers;
    headers.Add("Accept: application/json");
    if (!body.empty()) {
      headers.Add("Content-Type: application/json");
      curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.c_str());
      curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    }
    const std::string token = ReadAccount(options_.account_folder + "/token");
    if (!token.empty()) headers.Add(absl::StrCat("Authorization: Bearer ", token));
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
    const auto append = +[](char* data, size_t, size_t size, void* to) -> size_t {
      static_cast<std::string*>(to)->append(data, size);
      return size;
    };
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer.body);
    const CURLcode code = curl_easy_perform(c);
    if (code != CURLE_OK) {
      return absl::UnavailableError(
          absl::StrCat("the API server at ", options_.api_url, ": ", curl_easy_strerror(code)));
    }
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }

  const KubeLeaseOptions options_;
  const std::string collection_;
  const Curl curl_;
  json::object object_;  // as last read
};

}  // namespace

absl::StatusOr<std::unique_ptr<LeaseStore>> MakeKubeLeaseStore(KubeLeaseOptions options) {
  if (options.api_url.empty()) {
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
    if (host == nullptr || port == nullptr) {
      return absl::FailedPreconditionError(
          "a lease needs Kubernetes: this is no pod, and --kube-api names no API server");
    }
    const bool is_v6 = std::string(host).find(':') != std::string::npos;
    options.api_url = absl::StrCat("https://", is_v6 ? "[" : "", host, is_v6 ? "]:" : ":", port);
  }
  if (options.name_space.empty()) {
    options.name_space = ReadAccount(options.account_folder + "/namespace");
    if (options.name_space.empty()) {
      return absl::FailedPreconditionError(
          "the lease's namespace is not known: say lease:NAMESPACE/NAME");
    }
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return std::make_unique<KubeLeaseStore>(std::move(options));
}

}  // namespace weft::scheduler
