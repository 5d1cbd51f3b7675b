"""Examines a model on held-out conversations, greedily, by exact match of the boxed answer.

    python3 models/train/evaluate.py --model-dir models/weft-demo-r1
    python3 models/train/evaluate.py --base-url http://127.0.0.1:8000/v1 --model weft-demo-r1

With a folder it runs transformers in fp32. With a URL it needs nothing but the
standard library, and asks any server that speaks OpenAI's chat completions.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import time
import urllib.request

import problems

KINDS = {"seen": "held-out problems, trained wordings",
         "unseen": "held-out problems, unseen wordings",
         "family": "unseen family (hall)", "follow_up": "follow-ups, second turn",
         "gsm8k": "GSM8K test set"}

TOKENS_PER_ROUND = 64


def split_thinking(text, thinks):
    """(thinking or None if it never closed, what follows it)."""
    if not thinks:
        return "", text
    thinking, closed, rest = text.partition("</think>")
    return (thinking, rest) if closed else (None, "")


def boxed(text):
    """Content of the last \\boxed{}, or None."""
    found = re.findall(r"\\boxed\{([^{}]*)\}", text)
    return found[-1].strip() if found else None


class FromFolder:
    """Greedy batches through transformers."""

    def __init__(self, args):
        import torch
        from jinja2 import Environment
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM

        folder = pathlib.Path(args.model_dir)
        self.torch, self.args = torch, args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = AutoModelForCausalLM.from_pretrained(folder,
                                                          dtype=torch.float32).to(self.device)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        self.template = Environment().from_string(settings["chat_template"])
        bos = settings["bos_token"]
        self.bos = bos["content"] if isinstance(bos, dict) else bos or ""
        generation = json.loads((folder / "generation_config.json").read_text())
        eos = generation["eos_token_id"]
        self.eos = eos if isinstance(eos, list) else [eos]

    def answer(self, conversations):
        """Replies to a list of message lists: [(text after the prompt, tokens)]."""
        prompts = [self.tokenizer.encode(
            self.template.render(messages=messages, bos_token=self.bos, add_generation_prompt=True),
            add_special_tokens=False).ids for messages in conversations]
        written = [[] for _ in prompts]
        unfinished = list(range(len(prompts)))
        while unfinished:  # in rounds, so that few long replies do not hold up the short ones
            unfinished.sort(key=lambda index: len(prompts[index]) + len(written[index]))
            going_on = []
            for start in range(0, len(unfinished), self.args.batch):
                chosen = unfinished[start:start + self.args.batch]
                rows = self._continue([prompts[index] + written[index] for index in chosen])
                for index, (ids, has_ended) in zip(chosen, rows):
                    written[index] = (written[index] + ids)[:self.args.max_tokens]
                    if not has_ended and len(written[index]) < self.args.max_tokens:
                        going_on.append(index)
            unfinished = going_on
        return [(self.tokenizer.decode(ids, skip_special_tokens=True), len(ids)) for ids in written]

    def _continue(self, prompts):
        """Up to TOKENS_PER_ROUND more tokens of each: [(ids, whether the reply has ended)]."""
        torch, longest = self.torch, max(map(len, prompts))
        ids = torch.full((len(prompts), longest), self.eos[0])
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt):] = torch.tensor(prompt)
            mask[row, longest - len(prompt):] = 1
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device),
                do_sample=False, max_new_tokens=TOKENS_PER_ROUND, eos_token_id=self.eos,
                pad_token_id=self.eos[0], temperature=None, top_p=None)
        for row in out[:, longest:].tolist():
            end = next((place for place, token in enumerate(row) if token in self.eos), None)
            yield row[:end], end is not None


class FromServer:
    """Greedy requests to an OpenAI-compatible server, several at a time."""

    def __init__(self, args):
        self.args = args
        self.key = os.environ.get("OPENAI_API_KEY", "none")

    def answer(self, conversations):
        with concurrent.futures.ThreadPoolExecutor(self.args.concurrency) as pool:
            return list(pool.map(self._ask, conversations))

    def _ask(self, messages):
        body = dict(model=self.args.model, messages=messages, temperature=0,
                    max_tokens=self.args.max_tokens)
        request = urllib.request.Request(
            self.args.base_url.rstrip("/") + "/chat/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=self.args.timeout) as response:
            reply = json.load(response)
        message = reply["choices"][0]["message"]
        text, tokens = message.get("content") or "", reply["usage"]["completion_tokens"]
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if thinking is not None:
            closed = bool(text) or reply["choices"][0]["finish_reason"] == "stop"
            text = f"{thinking}</think>{text}" if closed else thinking
        return text, tokens


def examine(source, items, thinks):
    """Asks turn after turn; the last answer counts. Returns figures and every reply."""
    conversations = [[] for _ in items]
    texts, tokens = [""] * len(items), [0] * len(items)
    for turn in range(max(len(item["turns"]) for item in items)):
        for messages, item, text in zip(conversations, items, texts):
            if turn:
                messages.append(dict(role="assistant", content=split_thinking(text,
                                                                              thinks)[1].strip()))
            messages.append(dict(role="user", content=item["turns"][turn]))
        replies = source.answer(conversations)
        texts, tokens = [text for text, _ in replies], [count for _, count in replies]
    results = []
    for item, text, count in zip(items, texts, tokens):
        thinking, rest = split_thinking(text, thinks)
        answer = boxed(rest)
        results.append(dict(item, reply=text, boxed=answer, tokens=count,
                            finished=thinking is not None and answer is not None,
                            right=answer is not None and answer == item["answers"][-1]))
    return results


def gsm8k(path, count):
    items = []
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()[:count or None]:
        row = json.loads(line)
        gold = row["answer"].split("####")[-1].strip().replace(",", "")
        items.append(dict(family="gsm8k", turns=[row["question"]], answers=[gold]))
    return items


def summary(results):
    counts = sorted(result["tokens"] for result in results)
    families = {}
    for result in results:
        families.setdefault(result["family"], []).append(result["right"])
    return dict(count=len(results), right=sum(result["right"] for result in results) / len(results),
                finished=sum(result["finished"] for result in results) / len(results),
                tokens_median=counts[len(counts) // 2], tokens_p95=counts[int(len(counts) * 0.95)],
                families={name: sum(right) / len(right) for name,
                          right in sorted(families.items())})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model-dir", help="folder in Hugging Face's layout")
    parser.add_argument("--base-url", help="of an OpenAI-compatible server, with /v1")
    parser.add_argument("--model", default="weft-demo-r1", help="model name to ask the server for")
    parser.add_argument("--thinks", choices=("auto", "yes", "no"), default="auto",
                        help="whether the model reasons before </think>; auto: by its name")
    parser.add_argument("--count", type=int, default=500, help="conversations of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gsm8k", help="path of GSM8K's test.jsonl")
    parser.add_argument("--gsm8k-count", type=int, help="only the first rows")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--out", help="JSON report, every reply included")
    args = parser.parse_args()
    if bool(args.model_dir) == bool(args.base_url):
        parser.error("give either --model-dir or --base-url")
    name = pathlib.Path(args.model_dir).resolve().name if args.model_dir else args.model
    thinks = "r1" in name.lower() if args.thinks == "auto" else args.thinks == "yes"
    source = FromFolder(args) if args.model_dir else FromServer(args)

    report = dict(model=name, seed=args.seed, max_tokens=args.max_tokens, figures={}, replies={})
    started = time.time()
    print(f"{name}: greedy, at most {args.max_tokens} tokens, exact match of the boxed answer")
    for kind, label in KINDS.items():
        if kind == "gsm8k" and not args.gsm8k:
            continue
        items = gsm8k(args.gsm8k, args.gsm8k_count) if kind == "gsm8k" else \
            problems.examination(kind, args.count, args.seed)
        results = examine(source, items, thinks)
        figures = report["figures"][kind] = summary(results)
        report["replies"][kind] = results
        ending = "closed its thinking and boxed" if thinks else "boxed"
        print(f"  {label:38} {figures['right']:7.1%} of {figures['count']}; {ending} "
              f"{figures['finished']:.1%}; tokens median {figures['tokens_median']}, "
              f"95% {figures['tokens_p95']}", flush=True)
    report["seconds"] = round(time.time() - started, 1)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n",
                                          encoding="utf-8")


if __name__ == "__main__":
    main()
