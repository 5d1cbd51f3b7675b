#include "scheduler/rpc/debug_page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weft::scheduler {
namespace {

using core::Phase;
using core::SequenceSnapshot;
using core::WorkerSnapshot;

std::string Seconds(core::Micros from, core::Micros to) {
  if (from == core::kNever || to == core::kNever) return "-";
  return absl::StrFormat("%.1f s", static_cast<double>(to - from) * 1e-6);
}

std::string WorkerName(const DebugFacts& facts, core::WorkerId id) {
  const auto it = facts.worker_names.find(id);
  return it != facts.worker_names.end() ? it->second : absl::StrCat("#", id);
}

// What it does, or what it waits for.
std::string State(const DebugFacts& facts, const SequenceSnapshot& sequence) {
  switch (sequence.phase) {
    case Phase::kRunning:
      return absl::StrCat(sequence.num_output_tokens == 0 ? "prefill on " : "decode on ",
                          WorkerName(facts, sequence.worker));
    case Phase::kSuspect:
      return facts.snapshot.gauges.num_workers_ready == 0
                 ? "waits for a worker"
                 : "waits for its trial: a worker died under it";
    case Phase::kParked:
      return "waits for a prefix that another computes";
    case Phase::kOwed:
      return "preempted; waits for its steps in flight";
    case Phase::kWaiting:
      break;
  }
  return facts.snapshot.gauges.num_workers_ready == 0 ? "waits for a worker"
                                                      : "waits for a row or for blocks";
}

void AddWorker(const DebugFacts& facts, const WorkerSnapshot& worker, std::string& page) {
  const int num_blocks = worker.limits.num_blocks;
  absl::StrAppendFormat(
      &page, "%-32s %4d of %-4d %5d of %d %9d used %9d cached %9d free (%d%% used)%s\n",
      WorkerName(facts, worker.id), worker.num_running, worker.limits.max_rows,
      worker.num_steps_in_flight, worker.limits.max_steps_in_flight, worker.num_blocks_used,
      worker.num_blocks_cached, worker.num_blocks_free,
      num_blocks == 0 ? 0 : static_cast<int>(int64_t{100} * worker.num_blocks_used / num_blocks),
      worker.is_draining ? ", drains" : "");
  absl::StrAppendFormat(&page,
                        "%-32s %d tokens to compute; its next step takes at most %d of prompts\n",
                        "", worker.num_unscheduled_tokens,
                        std::min(worker.max_prompt_tokens, worker.limits.max_step_tokens));
  if (worker.num_lacking_blocks > 0) {
    absl::StrAppendFormat(&page, "%-32s the first that waits lacks %d blocks here\n", "",
                          worker.num_lacking_blocks);
  }
}

void AddSequence(const DebugFacts& facts, const SequenceSnapshot& s, std::string& page) {
  absl::StrAppendFormat(
      &page, "%10d %-12s %4d %8d %7d/%-7d %6d %7d %5d %8s %8s  %s", s.id,
      s.tenant.empty() ? "-" : s.tenant.substr(0, 12), s.priority, s.num_prompt_tokens,
      s.num_output_tokens, s.max_tokens, s.num_cached_tokens, s.num_blocks, s.num_preemptions,
      Seconds(s.times.queued,
              s.times.first_scheduled == core::kNever ? facts.now : s.times.first_scheduled),
      Seconds(s.times.queued, facts.now), State(facts, s));
  if (s.num_losses > 0) absl::StrAppend(&page, "; ", s.num_losses, " workers lost under it");
  if (s.deadline != core::kNever) {
    absl::StrAppend(&page, "; deadline in ", Seconds(facts.now, s.deadline));
  }
  page += '\n';
}

}  // namespace

std::string DebugPage(const DebugFacts& facts) {
  const core::Gauges& g = facts.snapshot.gauges;
  std::string page = absl::StrFormat(
      "term %d, %d gateways\n"
      "%d running, %d waiting (%d for a row or blocks, %d for a prefix, %d for steps in flight, %d "
      "for a worker, %d for a trial), %d tokens among those that wait\n\n",
      facts.term, facts.num_gateways, g.num_running, g.num_waiting(), g.num_waiting_capacity,
      g.num_waiting_prefix, g.num_waiting_owed, g.num_waiting_worker, g.num_waiting_trial,
      g.num_waiting_tokens);
  page += "worker                           rows         steps    KV blocks\n";
  for (const WorkerSnapshot& worker : facts.snapshot.workers) AddWorker(facts, worker, page);
  if (facts.snapshot.workers.empty()) page += "none\n";
  page +=
      "\n        id tenant       prio   prompt       output  cached  blocks preem   queued      "
      "age  "
      "state\n";
  for (const SequenceSnapshot& sequence : facts.snapshot.sequences) {
    AddSequence(facts, sequence, page);
  }
  if (facts.snapshot.sequences.empty()) page += "none\n";
  if (facts.snapshot.num_left_out > 0) {
    absl::StrAppend(&page, "... and ", facts.snapshot.num_left_out, " more\n");
  }
  return page;
}

}  // namespace weft::scheduler
