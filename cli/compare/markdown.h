// The report for places that show Markdown: all of the HTML one but its plots.
#pragma once

#include <string>

#include "cli/compare/page.h"

namespace weft::compare {

std::string Markdown(const Page& page);

}  // namespace weft::compare
