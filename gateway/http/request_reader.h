// Bytes of one connection to requests, without any I/O: the strict gate, then
// Beast's parser for the rest. One reader serves a connection's requests in turn.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/http/message.h"

namespace weft::http {

class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);  // outlives the reader
  ~RequestReader();

  //            bytes                           Reset
  // kIdle      kHead, kBody, kDone, kRefused   kIdle
  // kHead      kHead, kBody, kDone, kRefused   –
  // kBody      kBody, kDone, kRefused          –
  // kDone      –                               kIdle
  // kRefused   –                               –
  enum class State { kIdle, kHead, kBody, kDone, kRefused };

  // Takes this request's bytes off the front of `inbox`; what is left begins the
  // next one. Not called again after kDone, before Reset.
  State Advance(std::string& inbox);
  State state() const { return state_; }

  // In kBody: the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;

  HttpRequest TakeRequest();           // after kDone
  const HttpRefusal& refusal() const;  // after kRefused
  void Reset();                        // for the next request

 private:
  struct Impl;
  State ScanHead(std::string& inbox);
  State ParseBody(std::string& inbox);
  State Refuse(HttpRefusal refusal);

  const HttpLimits& limits_;
  State state_ = State::kIdle;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::http
