// What one gateway has still to be told. At most one write is under way on its
// stream; everything that comes meanwhile is merged here into the next frame:
// tokens of the same sequence are appended to each other, only the latest load
// counts. So a slow gateway costs memory, bounded, and never a step's time.
//
// No I/O and no lock: the session that owns it has both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/sampling.h"
#include "weft/v1/scheduler.pb.h"

namespace weft::scheduler {

class Outbox {
 public:
  // `first_index` is the output index of tokens[0], which continues what was
  // added for the handle before. `logprobs` is empty or as long as `tokens`.
  void AddTokens(uint32_t handle, uint32_t first_index, std::span<const TokenId> tokens,
                 std::vector<v1::TokenLogprobs> logprobs = {});
  void AddPromptLogprobs(uint32_t handle, v1::PromptLogprobs logprobs);
  void AddFinished(v1::Finished finished);
  void AddRejected(v1::Rejected rejected);
  void SetWelcome();
  void SetLoad(const v1::Load& load);
  // The last to be told: another leads, `address` is where.
  void SetNotLeader(std::string address);

  bool empty() const;
  // About what the next frame will take on the wire; what the bound is held
  // against.
  size_t num_bytes() const { return num_bytes_; }

  // Moves everything into `frame`, which is cleared first. False: there was
  // nothing, and no frame is to be sent.
  bool Take(uint64_t epoch, v1::SchedulerFrame& frame);

  // Forgets everything: the stream is gone.
  void Clear();

 private:
  struct Entry {
    uint32_t handle = 0;
    uint32_t first_index = 0;
    std::vector<TokenId> tokens;
    std::vector<v1::TokenLogprobs> logprobs;
  };

  // The first num_entries_ are in use; the others keep their vectors' storage.
  std::vector<Entry> entries_;
  size_t num_entries_ = 0;
  absl::flat_hash_map<uint32_t, size_t> entry_of_handle_;
  std::vector<v1::PromptLogprobsPart> prompt_logprobs_;
  std::vector<v1::Finished> finished_;
  std::vector<v1::Rejected> rejected_;
  bool welcome_ = false;
  std::optional<v1::Load> load_;
  std::optional<std::string> next_leader_;
  size_t num_bytes_ = 0;
};

}  // namespace weft::scheduler
