// Every word of the page, in English and Chinese.

import { forEver } from "./store.js";

export const TEXTS = {
  en: {
    skip: "Skip to the question",
    models: "Models to ask",
    contextOf: "{tokens} tokens of context",
    alsoCalled: "also called {names}",
    newChat: "New chat",
    otherLanguage: "中文",
    settings: "Settings",
    conversation: "Conversation",
    welcome: "What shall we work out?",
    welcomeHint: "Questions go to the model behind this server, and nowhere else.",
    examples: [
      "What is 17 + 25?",
      "Tom has 12 apples, buys 7 and eats 5. How many are left?",
      "A train travels 60 miles per hour for 3 hours. How far does it go?",
    ],
    question: "Question",
    questionHint: "Ask a question",
    send: "Send",
    stop: "Stop",
    keys: "Enter sends · Shift+Enter begins a line · Esc stops",
    thinking: "Thinking",
    thought: "Thought",
    tokens: "{n} tokens",
    oneToken: "1 token",
    seconds: "{s} s",
    waiting: "Waiting for the first token",
    ttft: "first token {ms}",
    rate: "{rate} tok/s",
    stopped: "stopped",
    cutOff: "cut off at the limit of tokens",
    copy: "Copy",
    copied: "Copied",
    copyFailed: "Could not copy",
    regenerate: "Regenerate",
    tryAgain: "Try again",
    retryAfter: "Try again in {s} s.",
    failed: "The server answered with an error",
    failedMidway: "The answer broke off",
    unreachable: "The server does not answer.",
    brokenStream: "The stream ended before the answer did.",
    needsKey: "This server wants an API key. It is under Settings.",
    answering: "Answering",
    answerDone: "Answer complete, {tokens}",
    answerStopped: "Stopped",
    answerFailed: "Failed",
    modelDefault: "model's default",
    systemPrompt: "System prompt",
    temperature: "Temperature",
    temperatureHint: "0 always takes the likeliest token",
    topP: "Top p",
    topPHint: "draws from the likeliest tokens that together have this share",
    maxTokens: "Max tokens",
    maxTokensHint: "of an answer, its reasoning included",
    seed: "Seed",
    seedHint: "the same seed gives the same answer",
    apiKey: "API key",
    apiKeyHint: "kept until this tab is closed",
    reset: "Reset",
    done: "Done",
  },
  zh: {
    skip: "跳到提问框",
    models: "向哪些模型提问",
    contextOf: "上下文 {tokens} 个 token",
    alsoCalled: "别名 {names}",
    newChat: "新对话",
    otherLanguage: "English",
    settings: "设置",
    conversation: "对话",
    welcome: "想算点什么？",
    welcomeHint: "问题只发给本服务器上的模型，不会发往别处。",
    examples: [
      "17 + 25 等于多少？",
      "小明有 12 个苹果，又买了 7 个，吃了 5 个，还剩几个？",
      "火车每小时行 60 公里，3 小时行多远？",
    ],
    question: "问题",
    questionHint: "输入问题",
    send: "发送",
    stop: "停止",
    keys: "Enter 发送 · Shift+Enter 换行 · Esc 停止",
    thinking: "思考中",
    thought: "已思考",
    tokens: "{n} 个 token",
    oneToken: "1 个 token",
    seconds: "{s} 秒",
    waiting: "等待第一个 token",
    ttft: "首个 token {ms}",
    rate: "{rate} token/秒",
    stopped: "已停止",
    cutOff: "已达 token 上限，回答被截断",
    copy: "复制",
    copied: "已复制",
    copyFailed: "复制失败",
    regenerate: "重新生成",
    tryAgain: "重试",
    retryAfter: "请在 {s} 秒后重试。",
    failed: "服务器返回错误",
    failedMidway: "回答中断",
    unreachable: "服务器没有响应。",
    brokenStream: "回答尚未结束，数据流就中断了。",
    needsKey: "此服务器需要 API 密钥，请在“设置”中填写。",
    answering: "正在回答",
    answerDone: "回答完毕，{tokens}",
    answerStopped: "已停止",
    answerFailed: "失败",
    modelDefault: "模型默认值",
    systemPrompt: "系统提示词",
    temperature: "温度",
    temperatureHint: "0 表示总取最可能的 token",
    topP: "Top p",
    topPHint: "只从累计概率达到此值的 token 中抽取",
    maxTokens: "最多 token 数",
    maxTokensHint: "含思考过程",
    seed: "随机种子",
    seedHint: "种子相同，回答相同",
    apiKey: "API 密钥",
    apiKeyHint: "关闭此标签页后即清除",
    reset: "重置",
    done: "完成",
  },
};

const KEY = "weft.language";

let language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function remembered() {
  const kept = forEver.get(KEY);
  return kept in TEXTS ? kept : null;
}

// t("seconds", {s: 3}) -> "3 s". `examples` is a list.
export function t(key, values = {}) {
  const text = TEXTS[language][key];
  return typeof text === "string" ? text.replace(/\{(\w+)\}/g, (_, name) => values[name]) : text;
}

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  forEver.set(KEY, language);
}

// Puts the words into `root`: <b data-text="send">, data-label for what is only read
// aloud, data-placeholder.
export function translate(root) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = t(one.dataset.text);
  for (const one of root.querySelectorAll("[data-label]")) one.ariaLabel = t(one.dataset.label);
  for (const one of root.querySelectorAll("[data-placeholder]"))
    one.placeholder = t(one.dataset.placeholder);
}

export function countTokens(n) {
  return n === 1 ? t("oneToken") : t("tokens", { n: n.toLocaleString("en") });
}

// 0.27 s, 3.4 s, 81 s
export function duration(ms) {
  const s = ms / 1000;
  return t("seconds", { s: s.toFixed(s < 1 ? 2 : s < 10 ? 1 : 0) });
}
