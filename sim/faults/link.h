// A stream between two simulated processes: a client, which dialled, and a server. Frames
// arrive in order, each after a delay of its own, so that those of different streams
// overtake each other. Its ends learn of its end each at a time of their own.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "sim/clock.h"
#include "sim/random.h"

namespace weft::sim {

inline constexpr int64_t kMaxDelay = 300;           // of a frame, microseconds
inline constexpr int64_t kMaxNoticeDelay = 20'000;  // of a broken connection
inline constexpr int64_t kKeepalive = 2'500'000;    // a peer that is silent for as long is gone

template <typename Up, typename Down>
class Link : public std::enable_shared_from_this<Link<Up, Down>> {
 public:
  Link(Clock& clock, Random& random) : clock_(clock), random_(random) {}

  // Each end's, which it sets before frames come.
  std::function<void(const Up&)> on_up;
  std::function<void(bool clean)> on_server_end;  // once
  std::function<void(const Down&)> on_down;
  std::function<void()> on_client_end;  // once, unless the client has ended it
  // The client has dealt with a frame: there is room for another.
  std::function<void()> on_consumed;

  void SendUp(Up frame) {
    if (client_ended_) return;
    clock_.At(Arrival(last_up_), [self = this->shared_from_this(), frame = std::move(frame)] {
      if (!self->is_lost_ && !self->server_ended_) self->on_up(frame);
    });
  }
  void SendDown(Down frame) {
    if (server_closed_ || server_ended_) return;
    clock_.At(Arrival(last_down_), [self = this->shared_from_this(), frame = std::move(frame)] {
      if (!self->is_lost_ && !self->client_ended_) self->on_down(frame);
    });
  }
  void Consumed() {
    if (!server_ended_ && on_consumed) on_consumed();
  }

  // Behind what was sent before.
  void CloseByClient() {
    if (std::exchange(client_ended_, true)) return;
    clock_.At(Arrival(last_up_), [self = this->shared_from_this()] { self->EndServer(true); });
  }
  void CloseByServer() {
    if (std::exchange(server_closed_, true)) return;
    clock_.At(Arrival(last_down_), [self = this->shared_from_this()] {
      self->EndClient();
      self->clock_.At(self->Arrival(self->last_up_), [self] { self->EndServer(true); });
    });
  }

  // What is on its way is lost. False: it had ended.
  bool Break() {
    if (std::exchange(is_lost_, true)) return false;
    const bool was_open = !client_ended_ || !server_ended_;
    const auto notice = [&] { return random_.Between(0, static_cast<int>(kMaxNoticeDelay)); };
    clock_.After(notice(), [self = this->shared_from_this()] { self->EndServer(false); });
    clock_.After(notice(), [self = this->shared_from_this()] { self->EndClient(); });
    return was_open;
  }

  // For as long nothing moves; true: that was news. If that is long, the ends give up, each at its
  // time, and what one sends meanwhile the other may still get behind the hole.
  bool Silence(int64_t duration) {
    if (is_lost_ || clock_.now_us() + duration <= hole_until_) return false;
    hole_until_ = clock_.now_us() + duration;
    if (duration < kKeepalive) return true;
    const auto give_up = [&] { return kKeepalive + random_.Between(0, 500'000); };
    clock_.After(give_up(), [self = this->shared_from_this()] { self->EndServer(false); });
    clock_.After(give_up(), [self = this->shared_from_this()] { self->EndClient(); });
    return true;
  }

 private:
  int64_t Arrival(int64_t& last) {
    const int64_t delay = random_.Between(1, static_cast<int>(kMaxDelay));
    return last = std::max({last, clock_.now_us() + delay, hole_until_});
  }
  void EndServer(bool clean) {
    if (!std::exchange(server_ended_, true)) on_server_end(clean);
  }
  void EndClient() {
    if (!std::exchange(client_ended_, true)) on_client_end();
  }

  Clock& clock_;
  Random& random_;
  int64_t last_up_ = 0, last_down_ = 0;
  int64_t hole_until_ = 0;
  bool is_lost_ = false;
  bool client_ended_ = false, server_ended_ = false, server_closed_ = false;
};

}  // namespace weft::sim
