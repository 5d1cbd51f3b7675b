#include "sim/faults/fault_world.h"

#include <algorithm>

namespace weft::sim {

FaultWorld DrawFaultWorld(Random& random) {
  FaultWorld world;
  world.num_gateways = random.Between(1, 3);
  world.num_workers = random.Chance(0.4) ? 1 : random.Between(2, 3);
  world.num_requests = random.Between(40, 100);
  world.max_open_requests = random.Between(16, 64);
  world.mean_arrival = random.Between(2'000, 30'000);
  world.vocab_size = random.Between(2, 100);
  // Too few for what may run at once.
  const int num_blocks = random.Between(6, 16);
  for (int i = 0; i < world.num_workers; ++i) {
    core::WorkerLimits limits;
    limits.num_blocks = num_blocks;
    limits.max_rows = random.Between(4, 8);
    limits.max_step_tokens = limits.max_rows + random.Between(0, 100);
    limits.max_steps_in_flight = random.Between(1, 2);
    limits.max_context_tokens = random.Between(100, 250);
    limits.vocab_size = world.vocab_size;
    world.limits.push_back(limits);
  }
  core::Config& core = world.group.core;
  if (random.Chance(0.2)) core.max_waiting_sequences = random.Between(1, 20);
  // Of three tenants; with less than four each, blocks would never be short.
  if (random.Chance(0.2)) core.max_tenant_sequences = random.Between(4, 20);
  core.enable_prefix_cache = !random.Chance(0.1);
  if (random.Chance(0.3)) world.group.no_worker_patience = random.Between(300'000, 2'000'000);
  world.group.step_limit = random.Between(1'000'000, 3'000'000);
  world.group.first_step_limit = random.Between(2'000'000, 5'000'000);
  // More than all that a gateway may hear at once: it would be cut off again and again.
  if (random.Chance(0.5)) world.max_outbox_bytes = random.Between(10'000, 40'000);
  if (random.Chance(0.3)) world.consume_time = random.Between(1000, 50'000);
  if (random.Chance(0.2)) world.recovery_wait = 1000 * random.Between(500, 4000);
  world.mean_fault = random.Between(50'000, random.Chance(0.5) ? 500'000 : 1'500'000);
  if (random.Chance(0.3)) {
    for (int i = random.Between(1, 3); i > 0; --i) {
      world.model_faults.poisoned_requests.insert(random.Between(1, world.num_requests));
    }
  }
  for (int i = random.Between(0, 60); i > 0; --i) {
    world.shared_prompt.push_back(random.Between(0, world.vocab_size - 1));
  }
  world.slow = random.Chance(0.5) ? 0.02 : 0.2;
  if (random.Chance(0.7)) world.cancel = 0.3 * random.Unit();
  if (random.Chance(0.5)) world.conclude = 0.3 * random.Unit();
  if (random.Chance(0.3)) world.deadline = 0.3 * random.Unit();
  return world;
}

int FaultWorld::smallest_capacity() const {
  int smallest = 1 << 30;
  for (const core::WorkerLimits& worker : limits) {
    smallest =
        std::min({smallest, worker.max_context_tokens, worker.num_blocks * core::kBlockTokens});
  }
  return smallest;
}

}  // namespace weft::sim
