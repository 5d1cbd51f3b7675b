#include "cli/compare/texts.h"

#include "common/check.h"

namespace weft::compare {
namespace {

const Text* Find(std::string_view key) {
  for (const Text& text : Texts()) {
    if (text.key == key) return &text;
  }
  return nullptr;
}

std::string In(Language language, const Text& text) {
  return std::string(language == Language::kEnglish ? text.en : text.zh);
}

}  // namespace

const char* CodeOf(Language language) { return language == Language::kEnglish ? "en" : "zh"; }

const std::vector<Text>& Texts() {
  // clang-format off
  static const auto* const texts = new std::vector<Text>{
      {"title", "$0 and $1 compared", "$0 与 $1 的比较"},
      {"measured_on", "Measured on $0.", "测量时间：$0。"},
      {"summary",
       "Of $0 figures $1 is better in $2, $3 is better in $4, $5 show no difference, and $6 cannot be judged.",
       "共 $0 项指标：$1 更优 $2 项，$3 更优 $4 项，未显示差异 $5 项，无法判断 $6 项。"},

      // Tasks and figures.
      {"model", "The models", "模型"},
      {"serving", "Serving", "服务"},
      {"summarize", "Summarising 512-token inputs", "512 词元输入的摘要"},
      {"gsm8k", "GSM8K", "GSM8K"},
      {"multi_turn", "Multi-turn chat up to 2,048 tokens", "多轮对话（至 2,048 词元）"},
      {"disk", "Size on disk", "磁盘占用"},
      {"int8_size", "Size in int8, computed", "int8 大小（计算值）"},
      {"int4_size", "Size in 4 bits, computed", "4 位大小（计算值）"},
      {"kv_per_token", "KV cache of a token", "每词元 KV 缓存"},
      {"start_total", "Cold start", "冷启动"},
      {"start_process", "Cold start: processes", "冷启动：进程启动"},
      {"start_load", "Cold start: reading weights", "冷启动：读取权重"},
      {"start_warm_up", "Cold start: warming up", "冷启动：预热"},
      {"start_first_answer", "Cold start: first answer", "冷启动：首个回答"},
      {"ttft_p50", "TTFT, median", "TTFT（中位数）"},
      {"ttft_p99", "TTFT, 99th percentile", "TTFT（99 百分位）"},
      {"itl_p50", "ITL, median", "ITL（中位数）"},
      {"itl_p99", "ITL, 99th percentile", "ITL（99 百分位）"},
      {"e2e_p50", "Whole answer, median", "完整回答（中位数）"},
      {"rate_single", "Output, one request at a time", "输出速率（单请求）"},
      {"rate_batched", "Output, batched", "输出速率（批量）"},
      {"memory_peak", "Peak memory", "内存峰值"},
      {"memory_weights", "Peak memory: weights", "内存峰值：权重"},
      {"memory_kv", "Peak memory: KV cache", "内存峰值：KV 缓存"},
      {"memory_workspace", "Peak memory: workspace", "内存峰值：工作区"},

      // Tables.
      {"figure", "Figure", "指标"},
      {"ratio_of", "A / B", "A / B"},
      {"verdict", "Verdict", "结论"},
      {"runs", "Rounds", "轮次"},
      {"exact", "exact", "精确值"},
      {"not_measured", "not measured", "未测量"},
      {"of_rounds", "$0 of $1", "$0 / $1"},

      // Verdicts.
      {"faster", "$0 faster by $1", "$0 快 $1"},
      {"shorter", "$0 shorter by $1", "$0 用时短 $1"},
      {"smaller", "$0 smaller by $1", "$0 小 $1"},
      {"more_accurate", "$0 more accurate by $1 points", "$0 准确率高 $1 个百分点"},
      {"no_difference", "no difference shown", "未显示差异"},
      {"cannot_judge", "cannot be judged", "无法判断"},
      {"equal", "equal", "相同"},

      // Accuracy.
      {"accuracy", "Accuracy", "准确率"},
      {"benchmark", "Benchmark", "评测"},
      {"difference", "A − B, points", "A − B（百分点）"},
      {"problems", "Problems × attempts", "题数 × 次数"},
      {"tokens_per_answer", "Tokens per answer, A / B", "每答词元数 A / B"},

      // Warnings.
      {"warnings", "Warnings", "警告"},
      {"above_bound",
       "$0, $1: $2 is beyond what the hardware can do, $3 ($4). Something else was measured than the name says: "
       "another batch, quantized weights, cached prompts, or tokens that were not computed. Do not rely on it.",
       "$0，$1：$2 超出了硬件的极限 $3（$4）。实际测到的与名称不符：批量不同、权重已量化、提示被缓存，或词元未经计算。请勿采信。"},
      {"failed_rounds", "$0, $1: $2 of $3 rounds failed and do not count.", "$0，$1：$3 轮中有 $2 轮失败，不计入。"},
      {"few_rounds", "$0: judged by $1 pairs of rounds; five are the least for a report.",
       "$0：仅由 $1 对轮次判断；报告至少应有五对。"},

      // Plots.
      {"plots", "Plots", "图"},
      {"latency_cdf", "Latency of requests, distribution", "请求延迟分布"},
      {"throughput", "Throughput against concurrency", "吞吐量与并发数"},
      {"itl", "Inter-token latency over time", "词元间延迟随时间变化"},
      {"accuracy_tokens", "Accuracy against tokens", "准确率与词元数"},
      {"latency_axis", "latency, ms", "延迟，ms"},
      {"share_axis", "requests, %", "请求占比，%"},
      {"concurrency_axis", "requests at a time", "并发请求数"},
      {"rate_axis", "output, tok/s", "输出，tok/s"},
      {"time_axis", "time, s", "时间，s"},
      {"itl_axis", "ITL, ms", "ITL，ms"},
      {"tokens_axis", "tokens per answer", "每答词元数"},
      {"accuracy_axis", "accuracy, %", "准确率，%"},
      {"plots_elsewhere", "The plots are in the HTML report beside this file.", "图见同目录下的 HTML 报告。"},

      // Roofline.
      {"roofline", "What the hardware allows", "硬件极限"},
      {"bound", "Bound", "极限"},
      {"arithmetic", "Arithmetic", "计算过程"},
      {"part_of_bound", "Reached", "达到比例"},
      {"roofline_about",
       "Least time of a step: weights over bandwidth or matrix arithmetic over peak, whichever is longer, and "
       "likewise for the KV cache. Bandwidth and peak are those that good kernels reach. A rate is bounded from above, a "
       "time from below.",
       "一步的最短时间：权重除以带宽与矩阵运算除以峰值算力中的较长者，KV 缓存同理。带宽与峰值取优秀内核实际可达的值。"
       "速率有上限，时间有下限。"},
      {"no_roofline", "The device is not one whose limits are known here: no figure was checked against them.",
       "此设备的极限未知：没有任何指标经过极限核对。"},

      // The rest.
      {"environment", "Environment", "环境"},
      {"subjects", "What was compared", "比较对象"},
      {"server", "Server", "服务器"},
      {"model_name", "Model", "模型"},
      {"started_by", "Started by", "启动命令"},
      {"commands", "Commands", "命令"},
      {"gpu", "GPU", "GPU"},
      {"cpu", "CPU", "CPU"},
      {"host_memory", "Host memory", "主机内存"},
      {"os", "Operating system", "操作系统"},
      {"driver", "Driver", "驱动"},
      {"cuda", "CUDA", "CUDA"},
      {"weft_version", "Weft", "Weft"},
      {"dtype", "Number format", "数值格式"},
      {"seeds", "Seeds", "随机种子"},

      // How to read it.
      {"reading", "How to read this", "如何阅读"},
      {"reading_interval",
       "Brackets hold 95% intervals. A subject's value is the geometric mean of its rounds with Student's t interval on "
       "logarithms; it shows how rounds scatter. The verdict rests on the A / B column alone: rounds of A and B were "
       "interleaved, and the ratio is taken within each pair, so what drifts on the machine hits both. Both kinds of "
       "interval are too narrow where one subject alone pauses now and then: more rounds show that.",
       "方括号内为 95% 区间。每个对象的值是各轮的几何平均，区间取对数后按学生 t 分布得出，反映各轮的离散程度。"
       "结论只依据 A / B 一列：A 与 B 的各轮交替进行，比值在每一对之内计算，机器的漂移同时影响双方。"
       "若只有其中一方偶尔停顿，两种区间都会偏窄：增加轮次即可看出。"},
      {"reading_none",
       "“No difference shown” means that the interval of A / B holds 1. It does not mean that both are equal: a "
       "difference as large as the interval's ends may exist and was not resolved by this many rounds.",
       "“未显示差异”指 A / B 的区间包含 1，并不表示两者相等：可能存在不超过区间两端的差异，只是这些轮次不足以分辨。"},
      {"reading_many",
       "Each row is judged by itself. Where nothing differs, about one row in twenty shows a difference by chance.",
       "各行独立判断。即使毫无差异，平均每二十行也会有一行偶然显示差异。"},
      {"reading_accuracy",
       "Accuracy is compared problem by problem: the interval of A − B is that of the mean difference over problems, "
       "attempts at one problem counting as one (with one attempt it is McNemar's setting, with the Agresti–Min "
       "adjustment).",
       "准确率逐题比较：A − B 的区间是各题差值均值的区间，同一题的多次作答合并计为一题"
       "（每题一次时即麦克尼马尔检验的情形，并作阿格雷斯蒂–闵校正）。"},
      {"reading_exact", "Exact rows are counted or computed, not measured: they have no interval.",
       "精确值为计数或计算所得，并非测量，因此没有区间。"},
      {"reading_terms",
       "TTFT: from sending a request to its first text. ITL: between one piece of text and the next. tok/s: output tokens "
       "a second. GB: a billion bytes.",
       "TTFT：从发出请求到首段文本的时间。ITL：相邻两段文本之间的时间。tok/s：每秒输出词元数。GB：十亿字节。"},
  };
  // clang-format on
  return *texts;
}

std::string Say(Language language, std::string_view key) {
  const Text* text = Find(key);
  WEFT_CHECK(text != nullptr);
  return In(language, *text);
}

std::string NameOf(Language language, std::string_view name) {
  const Text* text = Find(name);
  return text == nullptr ? std::string(name) : In(language, *text);
}

}  // namespace weft::compare
