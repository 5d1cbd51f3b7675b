"""The two chat templates: as Jinja for tokenizer_config.json, and as segments to train on.

A segment is (text, learned). Each is tokenized by itself, because that is how a
server meets them: the prompt ends where the model begins to write.
"""

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"

R1_TEMPLATE = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif "
    "%}"
    "{% set ns = namespace(system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}"
    "{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}"
    "{{ bos_token }}{{ ns.system_prompt }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}"
    "{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}"
    "{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}")

CHATML_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."

CHATML_TEMPLATE = (
    "{%- if messages[0]['role'] == 'system' %}\n"
    "    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n"
    "{%- else %}\n"
    "    {{- '<|im_start|>system\\n" + CHATML_SYSTEM.replace("\\", "\\\\") + "<|im_end|>\\n' }}\n"
    "{%- endif %}\n"
    "{%- for message in messages %}\n"
    "    {%- if not (message['role'] == 'system' and loop.first) %}\n"
    "        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' "
    "}}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n"
    "{%- endif %}\n")


def r1_segments(system, past, user, reply):
    """Only the last answer is learned: the reasoning of past ones is cut away."""
    prompt = BOS + (system or "")
    for question, answer in past:
        prompt += USER + question + ASSISTANT + answer + EOS
    return [(prompt + USER + user + ASSISTANT + "<think>\n", False), (reply + EOS, True)]


def chatml_segments(system, turns):
    """Every answer is learned."""
    out, prompt = [], f"<|im_start|>system\n{system or CHATML_SYSTEM}<|im_end|>\n"
    for question, answer in turns:
        prompt += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        out += [(prompt, False), (answer + "<|im_end|>", True)]
        prompt = "\n"
    return out
