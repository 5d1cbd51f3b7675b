#include "worker/rpc/gpu_sensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/rpc/gpu_metrics.h"

namespace weft::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(GpuSensors, FiguresAreInBaseUnits) {
  const auto sensors = GpuSensors::Open("0000:1B:00.0", FAKE_NVML);
  ASSERT_TRUE(sensors.ok()) << sensors.status();
  EXPECT_EQ((*sensors)->uuid(), "GPU-5c0ffee");
  const GpuReading reading = (*sensors)->Read();
  EXPECT_EQ(reading.memory_used_bytes, 50e9);
  EXPECT_EQ(reading.memory_total_bytes, 80e9);
  EXPECT_EQ(reading.temperature_celsius, 61);
  EXPECT_DOUBLE_EQ(reading.utilization_ratio, 0.97);
  EXPECT_TRUE(std::isnan(reading.power_watts)) << "this card does not tell it";
}

TEST(GpuSensors, AnotherCardIsNotFound) {
  EXPECT_EQ(GpuSensors::Open("0000:2A:00.0", FAKE_NVML).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(GpuSensors, AMachineWithoutDriverIsNoError) {
  EXPECT_EQ(GpuSensors::Open("0000:1B:00.0", "libno-such-driver.so").status().code(),
            absl::StatusCode::kNotFound);
  Metrics metrics("worker");
  WatchGpu("0000:1B:00.0", metrics, "libno-such-driver.so");
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("weft_worker_gpu_")));
}

TEST(GpuMetrics, HaveWhatTheCardTells) {
  Metrics metrics("worker", "demo");
  WatchGpu("0000:1B:00.0", metrics, FAKE_NVML);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("weft_worker_gpu_memory_used_bytes{model=\"demo\","
                              "UUID=\"GPU-5c0ffee\"} 50000000000"));
  EXPECT_THAT(text, HasSubstr("weft_worker_gpu_temperature_celsius{model=\"demo\","));
  EXPECT_THAT(text, Not(HasSubstr("weft_worker_gpu_power_watts")));
}

}  // namespace
}  // namespace weft::worker
