// A sequence's life in this scheduler as spans of its request's trace, one behind the other:
// queue (until its first step), prefill (until its first token), decode. What it did not get
// to has none; one that was taken over from another scheduler begins anew.
#pragma once

#include "common/tracer.h"
#include "scheduler/core/events.h"

namespace weft::scheduler {

// `now` is on the clock of `finished.times`.
void RecordSpans(Tracer& tracer, const core::Finished& finished, core::Micros now);

}  // namespace weft::scheduler
