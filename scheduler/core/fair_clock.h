// Shares of the queue between tenants: start-time fair queueing. Each tenant has
// a virtual time that its submissions push forward by what they will cost; the
// sequence with the smallest goes first. A tenant with a thousand requests in
// the queue thus delays its own next one, not another tenant's first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace weft::core {

class FairClock {
 public:
  // The virtual time of a new sequence of this tenant. One that resumes does not
  // queue behind its tenant's others: its client is in the middle of reading.
  uint64_t Enter(const std::string& tenant, int64_t cost, bool resumes) {
    Tenant& entry = tenants_[tenant];
    ++entry.num_sequences;
    const uint64_t start = std::max(now_, entry.time);
    entry.time = start + cost;
    return resumes ? now_ : start;
  }

  // It was admitted: whoever comes from now on starts no earlier.
  void Advance(uint64_t virtual_time) { now_ = std::max(now_, virtual_time); }

  // That have entered and not left.
  int num_sequences(const std::string& tenant) const {
    const auto it = tenants_.find(tenant);
    return it == tenants_.end() ? 0 : it->second.num_sequences;
  }

  // A tenant without sequences is forgotten, and with it at most the cost of its
  // last one.
  void Leave(const std::string& tenant) {
    const auto it = tenants_.find(tenant);
    if (--it->second.num_sequences == 0) tenants_.erase(it);
  }

 private:
  struct Tenant {
    uint64_t time = 0;  // where its next sequence starts
    int num_sequences = 0;
  };
  absl::flat_hash_map<std::string, Tenant> tenants_;  // never iterated
  uint64_t now_ = 0;
};

}  // namespace weft::core
