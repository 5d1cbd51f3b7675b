#include "common/metrics.h"

#include <dirent.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/version.h"

namespace weft {
namespace {

// The Prometheus client libraries' names, out of /proc (man 5 proc).
std::string ProcessText() {
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  std::ifstream stat_file("/proc/self/stat");
  std::string stat((std::istreambuf_iterator<char>(stat_file)), {});
  // Fields count from behind the name, which may itself hold spaces.
  const size_t name_end = stat.rfind(')');
  unsigned long utime = 0, stime = 0, vsize = 0;
  unsigned long long start = 0;
  long threads = 0, rss = 0;
  if (name_end != std::string::npos) {
    std::sscanf(stat.c_str() + name_end + 1,
                " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d "
                "%llu %lu %ld",
                &utime, &stime, &threads, &start, &vsize, &rss);
  }
  double boot = 0;
  std::ifstream system_stat("/proc/stat");
  for (std::string key; system_stat >> key;) {
    if (key == "btime") {
      system_stat >> boot;
      break;
    }
  }
  int open_fds = 0;
  if (DIR* dir = opendir("/proc/self/fd")) {
    while (readdir(dir)) ++open_fds;
    closedir(dir);
    open_fds -= 3;  // ".", ".." and the folder itself
  }
  std::string text;
  auto metric = [&text](const char* name, const char* type, const char* help, double value) {
    absl::StrAppend(&text, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n", name,
                    " ");
    char number[32];
    std::snprintf(number, sizeof number, "%.17g\n", value);
    text += number;
  };
  metric("process_cpu_seconds_total", "counter", "User and system CPU time spent",
         static_cast<double>(utime + stime) / ticks);
  metric("process_resident_memory_bytes", "gauge", "Resident memory",
         static_cast<double>(rss) * page);
  metric("process_virtual_memory_bytes", "gauge", "Virtual memory", static_cast<double>(vsize));
  metric("process_threads", "gauge", "Threads", static_cast<double>(threads));
  metric("process_open_fds", "gauge", "Open file descriptors", open_fds);
  metric("process_start_time_seconds", "gauge", "Start of the process, Unix time",
         boot + static_cast<double>(start) / ticks);
  return text;
}

}  // namespace

Metrics::Metrics(const std::string& tier, const std::string& model)
    : constant_labels_(model.empty() ? prometheus::Labels()
                                     : prometheus::Labels{{"model", model}}) {
  Gauge("weft_build_info", "Version of the binary; always 1",
        {{"tier", tier}, {"version", std::string(kVersion)}})
      .Set(1);
}

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help,
                                      const prometheus::Labels& labels) {
  return prometheus::BuildCounter()
      .Name(name)
      .Help(help)
      .Labels(constant_labels_)
      .Register(registry_)
      .Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help,
                                  const prometheus::Labels& labels) {
  return prometheus::BuildGauge()
      .Name(name)
      .Help(help)
      .Labels(constant_labels_)
      .Register(registry_)
      .Add(labels);
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const prometheus::Histogram::BucketBoundaries& buckets,
                                          const prometheus::Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Labels(constant_labels_)
      .Register(registry_)
      .Add(labels, buckets);
}

void Metrics::BeforeText(std::function<void()> refresh) {
  std::lock_guard lock(mutex_);
  refreshes_.push_back(std::move(refresh));
}

std::string Metrics::Text() const {
  {
    std::lock_guard lock(mutex_);
    for (const auto& refresh : refreshes_) refresh();
  }
  return prometheus::TextSerializer().Serialize(registry_.Collect()) + ProcessText();
}

}  // namespace weft
