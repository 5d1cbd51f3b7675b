"""Writes the problems that `weft eval --dataset weft` asks: held-out ones, as JSON lines.

    python3 models/train/eval_problems.py > cli/eval/arithmetic.jsonl
"""

import json

import problems

COUNTS = {"seen": 140, "unseen": 40, "family": 20}
SEED = 24


def main():
    asked = set()
    for kind, count in COUNTS.items():
        number = 0
        for item in problems.examination(kind, 2 * count, SEED):
            [question], [answer] = item["turns"], item["answers"]
            if question in asked or number == count:
                continue
            asked.add(question)
            print(json.dumps(dict(id=f"{kind}-{number}", problem=question, answer=answer)))
            number += 1


if __name__ == "__main__":
    main()
