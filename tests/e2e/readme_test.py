"""README's commands work as printed, but for the port."""

import json
import pathlib
import re
import subprocess
import sys

import sse

README = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()


def snippets(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_curl_line(served):
    [line] = [text for text in snippets("sh") if text.startswith("curl ")]
    done = subprocess.run(["bash", "-c", line.replace(":8000", f":{served.port}")],
                          capture_output=True, text=True, timeout=60, check=True)
    stream = sse.read(done.stdout)
    [choice] = stream.choices.values()
    assert choice.finish_reason == "stop"
    assert choice.reasoning and choice.content


def test_the_python_lines(served):
    [program] = [text for text in snippets("python") if "OpenAI(" in text]
    done = subprocess.run([sys.executable, "-c", program.replace(":8000", f":{served.port}")],
                          capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip()


def test_the_greetings_curl_line(served):
    line = served.output()[served.output().index("curl "):]
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60,
                          check=True)
    answer = json.loads(done.stdout)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["model"] == served.served_name
