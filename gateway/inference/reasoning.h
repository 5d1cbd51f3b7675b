// Sorts a choice's text into reasoning and content, once it is known where the
// reasoning opens and closes. The tags themselves are in neither, nor are the
// line breaks directly around them: "<think>\nhm\n</think>\n\n42" is "hm" and
// "42". An answer that was cut off while reasoning is all reasoning.
#pragma once

#include <string>
#include <string_view>

#include "gateway/inference/event.h"

namespace weft::gateway {

class ReasoningSplitter {
 public:
  enum class Start {
    kContent,    // it never opens
    kMayOpen,    // before anything but white space, it may
    kReasoning,  // the prompt has opened it
  };
  explicit ReasoningSplitter(Start start);

  void Text(std::string_view text, Delta& delta);
  void Open();
  void Close();
  void Finish(Delta& delta);  // the choice has ended

 private:
  //            Open     Close    text
  // kStart     kOpened  –        kContent; white space is held back
  // kOpened    –        kClosed  kReasoning, behind leading line breaks
  // kReasoning –        kClosed  kReasoning; trailing line breaks are held back
  // kClosed    –        –        kContent, behind leading line breaks
  // kContent   –        –        kContent
  enum class State { kStart, kOpened, kReasoning, kClosed, kContent };

  State state_;
  std::string held_;
};

}  // namespace weft::gateway
