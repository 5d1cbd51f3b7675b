// The picture as one file that a browser shows by itself: no script, no font, no link.
#pragma once

#include <string>
#include <vector>

#include "cli/simulate/chart.h"

namespace weft::simulate {

// `title` is plain text.
std::string SvgChart(const std::vector<Panel>& panels, double duration_s, const std::string& title);

}  // namespace weft::simulate
