#include "cli/eval/runner.h"

#include <algorithm>
#include <boost/json.hpp>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/eval/asker.h"

namespace weft::eval {
namespace {

namespace json = boost::json;

// Each was tried several times already: the server is gone, or refuses all of them.
constexpr int kMaxFailuresInARow = 8;

json::object Request(const RunOptions& options, const Problem& problem, int seed) {
  const Prompt& prompt = options.prompt;
  json::object request = {{"model", options.model},
                          {"messages", Messages(prompt, problem.question)},
                          {"temperature", prompt.temperature},
                          {"top_p", prompt.top_p},
                          {"max_tokens", prompt.max_tokens}};
  // Greedy answers have none; some servers are slower with it.
  if (prompt.temperature > 0) request["seed"] = seed;
  return request;
}

class Runner {
 public:
  Runner(const std::vector<Problem>& problems, const std::set<Task>& done,
         const RunOptions& options, const cli::Interrupts& interrupts,
         const std::function<absl::Status(const Transcript&)>& on_transcript)
      : options_(options), interrupts_(interrupts), on_transcript_(on_transcript) {
    for (int seed = 0; seed < options.prompt.num_seeds; ++seed) {
      for (const Problem& problem : problems) {
        if (!done.contains({problem.id, seed})) tasks_.emplace_back(&problem, seed);
      }
    }
  }

  RunResult Run() {
    std::vector<std::jthread> threads;
    const size_t num_threads = std::min(tasks_.size(), static_cast<size_t>(options_.concurrency));
    for (size_t i = 0; i < num_threads; ++i) threads.emplace_back([this] { Work(); });
    threads.clear();  // joins them
    if (interrupts_.signal() != 0) result_.status = absl::CancelledError("stopped");
    return std::move(result_);
  }

 private:
  void Work() {
    Asker asker(options_.server, options_.timeout_s, interrupts_);
    while (true) {
      std::pair<const Problem*, int> task;
      {
        const std::lock_guard lock(mutex_);
        if (next_ == tasks_.size() || !result_.status.ok() || interrupts_.signal() != 0) return;
        task = tasks_[next_++];
      }
      const auto& [problem, seed] = task;
      const absl::StatusOr<Answer> answer = asker.Ask(Request(options_, *problem, seed));
      if (absl::IsCancelled(answer.status())) return;
      if (answer.ok()) {
        Keep(Judged(*problem, seed, *answer));
      } else {
        Fail(answer.status());
      }
    }
  }

  Transcript Judged(const Problem& problem, int seed, const Answer& answer) const {
    Transcript transcript = {.id = problem.id,
                             .seed = seed,
                             .question = problem.question,
                             .reference = problem.answer,
                             .reasoning = answer.reasoning,
                             .content = answer.content,
                             .finish_reason = answer.finish_reason,
                             .num_prompt_tokens = answer.num_prompt_tokens,
                             .num_tokens = answer.num_tokens,
                             .seconds = answer.seconds};
    Judge(transcript, options_.prompt);
    return transcript;
  }

  void Keep(Transcript transcript) {
    const std::lock_guard lock(mutex_);
    num_failures_in_a_row_ = 0;
    const absl::Status kept = on_transcript_(transcript);
    if (!kept.ok() && result_.status.ok()) result_.status = kept;
    result_.transcripts.push_back(std::move(transcript));
  }

  void Fail(const absl::Status& failure) {
    const std::lock_guard lock(mutex_);
    ++result_.num_failed;
    result_.failure = std::string(failure.message());
    if (++num_failures_in_a_row_ >= kMaxFailuresInARow && result_.status.ok()) {
      result_.status = failure;
    }
  }

  const RunOptions& options_;
  const cli::Interrupts& interrupts_;
  const std::function<absl::Status(const Transcript&)>& on_transcript_;
  std::vector<std::pair<const Problem*, int>> tasks_;

  std::mutex mutex_;  // over what follows
  size_t next_ = 0;
  int num_failures_in_a_row_ = 0;
  RunResult result_;
};

}  // namespace

RunResult Run(const std::vector<Problem>& problems, const std::set<Task>& done,
              const RunOptions& options, const cli::Interrupts& interrupts,
              const std::function<absl::Status(const Transcript&)>& on_transcript) {
  return Runner(problems, done, options, interrupts, on_transcript).Run();
}

}  // namespace weft::eval
