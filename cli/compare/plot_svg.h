// A plot as SVG that stands within a page: its colours and fonts are the page's, by
// classes. A is a solid line with discs, B a dashed one with squares, so that nobody has
// to tell colours apart.
#pragma once

#include <string>

#include "cli/compare/page.h"

namespace weft::compare {

// Points that a logarithmic axis has no place for (0 or less) are left out. Well-formed
// XML.
std::string PlotSvg(const PlotOnPage& plot, const std::string& name_a, const std::string& name_b);

// Of text within HTML and XML, attributes among it; control characters, which XML has no
// way to write, become U+FFFD.
std::string Escaped(const std::string& text);

}  // namespace weft::compare
