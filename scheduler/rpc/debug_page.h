// GET /debug/state of the scheduler: queue, batch and pool as a page of plain text.
#pragma once

#include <map>
#include <string>

#include "scheduler/core/snapshot.h"

namespace weft::scheduler {

struct DebugFacts {
  core::Snapshot snapshot;
  std::map<core::WorkerId, std::string> worker_names;
  uint64_t term = 0;
  int num_gateways = 0;
  core::Micros now = 0;  // on the clock of the snapshot's times
};

std::string DebugPage(const DebugFacts& facts);

}  // namespace weft::scheduler
