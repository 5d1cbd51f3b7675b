// The report as one file that a browser shows by itself: no script, no font, no link.
#pragma once

#include <string>
#include <vector>

#include "cli/compare/page.h"

namespace weft::compare {

// In every language of `pages`, with a switch between them where there are two. It is
// well-formed XML too, so that any parser can check it. Precondition: one page or two.
std::string Html(const std::vector<Page>& pages);

}  // namespace weft::compare
