// What a simulated pool did over time, as small charts one above the other: for a
// terminal here, for a browser in svg.h.
#pragma once

#include <string>
#include <vector>

#include "sim/pool/pool_simulation.h"

namespace weft::simulate {

// One quantity, in columns of equal time.
struct Panel {
  std::string name;
  std::vector<double> values;  // averages over their columns, from 0
  double top = 1;              // of its scale, at least every value
  std::string top_label;
};

// Requests running and waiting, KV use in percent, tokens a second; in whole the time
// of the report. Precondition: that is not 0.
std::vector<Panel> MakePanels(const sim::PoolReport& report, int num_columns);

// As many columns as a terminal chart has: with its scale it is 72 wide.
inline constexpr int kTerminalColumns = 56;

// Two lines each, of blocks in eighths. Whatever is not 0 is seen.
std::string TerminalChart(const std::vector<Panel>& panels, double duration_s);

// In five characters from 1 on: "7.5", "64", "1.23k", "18.2k", "4M".
std::string ShortNumber(double value);
// "850 ms", "61.2 s", "12 min", "10.5 h".
std::string ShortDuration(double seconds);

}  // namespace weft::simulate
