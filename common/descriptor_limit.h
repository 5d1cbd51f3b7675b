#pragma once

namespace weft {

// A connection takes a descriptor, and the usual limit is 1024: raises it to what the
// system allows.
void RaiseDescriptorLimit();

}  // namespace weft
