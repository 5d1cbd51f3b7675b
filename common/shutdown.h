// SIGTERM and SIGINT as something a main function waits for.
//
//   ShutdownSignal shutdown;          // first thing in main, before any thread
//   ... start everything ...
//   shutdown.Wait();                  // a signal, or Request() from any thread
//   ... drain; SIGTERM changes nothing more, a SIGINT ends the process at once ...
#pragma once

namespace weft {

class ShutdownSignal {
 public:
  // Blocks both signals in this thread and those it starts. SIGPIPE is ignored:
  // a closed connection is an error code, not a death.
  ShutdownSignal();

  void Wait();

  // As if SIGTERM had come. Any thread.
  static void Request();

  // True once Wait has returned.
  static bool IsDraining();
};

}  // namespace weft
