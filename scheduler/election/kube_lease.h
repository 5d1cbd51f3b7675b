// A lease in Kubernetes: a Lease of coordination.k8s.io/v1, written with its
// resourceVersion, so that the API server refuses all but one of those who write at once.
// Term and address of the holder are annotations: weft.dev/term, weft.dev/address.
//
// What the pod's service account needs: get, create and update on leases of its namespace.
#pragma once

#include <memory>
#include <string>

#include "scheduler/election/lease.h"

namespace weft::scheduler {

struct KubeLeaseOptions {
  std::string api_url;     // https://host:port; empty: the cluster's that this pod is in
  std::string name_space;  // empty: the pod's
  std::string name;
  // Where the pod's account is: files token, ca.crt and namespace. The token is read anew
  // for each request, since it is rotated; without one requests are anonymous.
  std::string account_folder = "/var/run/secrets/kubernetes.io/serviceaccount";
};

// FailedPrecondition: nothing tells where the API server or the namespace is.
absl::StatusOr<std::unique_ptr<LeaseStore>> MakeKubeLeaseStore(KubeLeaseOptions options);

}  // namespace weft::scheduler
