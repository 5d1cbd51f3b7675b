#include "cli/simulate/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

#include "cli/simulate/svg.h"

namespace weft::simulate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TerminalChart, DrawsInEighthsOfTwoLines) {
  //                                    0 sixteenths, 1 (less is seen too), 4, 8, 12, 16
  const Panel panel{
      .name = "running", .values = {0, 0.1, 4, 8, 12, 16}, .top = 16, .top_label = "16"};
  const std::string chart = TerminalChart({panel}, 61.2);
  EXPECT_THAT(chart, HasSubstr("running     16 ┤    ▄█\n"
                               "             0 ┤ ▁▄███\n"));
  EXPECT_THAT(chart, ::testing::EndsWith(" 61.2 s\n"));
}

TEST(TerminalChart, ShowsWhatNeverHappenedAsEmpty) {
  EXPECT_THAT(TerminalChart({{.name = "waiting", .values = {0, 0}, .top_label = "1"}}, 1),
              HasSubstr("waiting      1 ┤\n             0 ┤\n"));
}

TEST(MakePanels, ScalesKvToThePoolAndTheRestToItsPeak) {
  sim::PoolReport report;
  report.duration = 1'000'000;
  report.num_blocks_total = 400;
  report.timeline.Add(sim::Timeline::kRunning, 0, 500'000, 30);
  report.timeline.Add(sim::Timeline::kBlocksInUse, 0, 1'000'000, 100);
  report.timeline.Add(sim::Timeline::kWaiting, 0, 500'000, 0.25);
  const std::vector<Panel> panels = MakePanels(report, 2);
  ASSERT_EQ(panels.size(), 4u);
  EXPECT_THAT(panels[0].values,
              ElementsAre(::testing::DoubleNear(30, 0.1), ::testing::DoubleNear(0, 0.1)));
  EXPECT_NEAR(panels[0].top, 30, 0.1);
  EXPECT_EQ(panels[1].top, 1);
  EXPECT_THAT(panels[2].values, ::testing::Each(::testing::DoubleNear(25, 1e-6)));
  EXPECT_EQ(panels[2].top, 100);
  EXPECT_EQ(panels[3].name, "tokens/s");
}

TEST(ShortNumber, HasThreeDigits) {
  EXPECT_EQ(ShortNumber(1), "1");
  EXPECT_EQ(ShortNumber(24.06), "24.1");
  EXPECT_EQ(ShortNumber(999.4), "999");
  EXPECT_EQ(ShortNumber(999.6), "1k");
  EXPECT_EQ(ShortNumber(1234), "1.23k");
  EXPECT_EQ(ShortNumber(999'700), "1M");
  EXPECT_EQ(ShortNumber(2.5e9), "2.5G");
}

TEST(ShortDuration, HasTheUnitThatAPersonWouldUse) {
  EXPECT_EQ(ShortDuration(0.0123), "12.3 ms");
  EXPECT_EQ(ShortDuration(61.23), "61.2 s");
  EXPECT_EQ(ShortDuration(1800), "30 min");
  EXPECT_EQ(ShortDuration(0.9999), "1 s");
  EXPECT_EQ(ShortDuration(37'800), "10.5 h");
}

TEST(SvgChart, IsWellFormedAndStaysInItsPanel) {
  const std::string svg =
      SvgChart({{.name = "a", .values = {0, 5, 10}, .top = 10, .top_label = "10"}}, 3, "1 < 2 & 3");
  boost::property_tree::ptree tree;
  std::istringstream stream(svg);
  ASSERT_NO_THROW(boost::property_tree::read_xml(stream, tree)) << svg;
  EXPECT_EQ(tree.get<std::string>("svg.title"), "1 < 2 & 3");
  // 0 at the bottom (y = 114), 5 in the middle, 10 at the top (y = 44).
  EXPECT_EQ(tree.get<std::string>("svg.path.<xmlattr>.d"),
            "M110 114V114.00H320.00V79.00H530.00V44.00H740.00V114Z");
}

}  // namespace
}  // namespace weft::simulate
