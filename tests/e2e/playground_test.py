"""The page at /, in Chromium: what a person sees, presses and reads.

Each page watches itself: a request to anywhere but its own server, a breach of the
content security policy or an error in the console fails its test. Screenshots go to
<build>/screenshots.
"""

import json
import pathlib
import re
import shutil

import httpx
import pytest
import stack
from playwright.sync_api import expect, sync_playwright
from several_models_test import TwoModels

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update",
                  "--disable-sync"]
# Endless reasoning at a reader's pace: a simulated worker never ends by itself.
SLOW = ["--backend", "simulated", "--simulated-gpu", "CPU", "--simulated-speed", "0.002"]
QUESTION = "What is 17 + 25?"
CHAT = "**/v1/chat/completions"
expect.set_options(timeout=20_000)  # of a loaded machine; what is there passes at once
SECONDS, RATE = r"[\d.]+ s", r"[\d.]+ tok/s"  # a fast answer has no rate: it comes in one piece


@pytest.fixture(scope="module")
def served(bin_dir, demo_model, math_model):
    """`reasoner`, also called `first`, and `solver`."""
    with TwoModels(bin_dir, demo_model, math_model) as served:
        yield served


@pytest.fixture(scope="module")
def slow(bin_dir, demo_model):
    with stack.Served(bin_dir, demo_model, SLOW) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if not chromium:
        is_snap_only = "ID=ubuntu" in pathlib.Path("/etc/os-release").read_text().split()
        (pytest.skip if is_snap_only else pytest.fail)("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(bin_dir):
    folder = bin_dir.resolve().parent / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


class Chat:
    """A page of the playground, in words of what it shows."""

    def __init__(self, context, url):
        self.context, self.url = context, url
        self.complaints, self.asked = [], []
        self.page = context.new_page()
        self.page.add_init_script("""
            addEventListener("securitypolicyviolation", (event) =>
                console.error(`policy: ${event.violatedDirective} ${event.sourceFile}`));""")
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.on_console)
        self.page.on("request", self.on_request)
        self.page.goto(url)
        expect(self.page.locator(".model").first).to_be_visible()

    def on_console(self, message):
        # A refusal is what its test looks for; Chromium logs it as well.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def on_request(self, request):
        if not request.url.startswith(f"{self.url}/"):
            self.complaints.append(f"asked {request.url}")
        if request.url.endswith("/chat/completions"):
            self.asked.append(request.post_data_json)

    def ask(self, question=QUESTION):
        self.question.fill(question)
        self.question.press("Enter")

    def ask_and_wait(self, question=QUESTION, state="done"):
        self.ask(question)
        for answer in self.last_turn.locator(".answer").all():
            expect(answer).to_have_attribute("data-state", state)

    def only(self, model):
        """Asks this model alone."""
        for chip in self.page.locator("button.model[aria-pressed=true]").all():
            if chip.inner_text() != model:
                chip.click()

    def script(self, *frames):
        """Chats are answered with these frames (strings are data as they are)."""
        body = "".join(f"data: {frame if isinstance(frame, str) else json.dumps(frame)}\n\n"
                       for frame in frames)
        self.page.route(CHAT, lambda route: route.fulfill(
            status=200, headers={"Content-Type": "text/event-stream"}, body=body))

    def say(self, text):
        """Chats are answered with this text."""
        self.script(delta(text), "[DONE]")

    def refuse(self, status, error, headers=None):
        self.page.route(CHAT, lambda route: route.fulfill(
            status=status, headers={"Content-Type": "application/json", **(headers or {})},
            body=json.dumps({"error": error})))

    @property
    def question(self):
        return self.page.get_by_role("textbox", name=re.compile("^(Question|问题)$"))

    @property
    def last_turn(self):
        return self.page.locator(".turn").last

    @property
    def answer(self):
        return self.last_turn.locator(".answer").first

    def is_wider_than_its_window(self):
        return self.page.evaluate("""() => ["html", "body", "main"].some((name) => {
            const element = document.querySelector(name);
            return element.scrollWidth > element.clientWidth;
        })""")


def delta(text):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


@pytest.fixture
def open_chat(browser):
    """open_chat(served, **how the browser presents itself)."""
    chats = []

    def open_one(served, **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        chats.append(Chat(context, served.url))
        return chats[-1]
    yield open_one
    for chat in chats:
        chat.context.close()
    assert [complaint for chat in chats for complaint in chat.complaints] == []


@pytest.fixture
def chat(open_chat, served):
    """With the reasoner alone."""
    chat = open_chat(served)
    chat.only("reasoner")
    return chat


# ---- questions and answers ----

def test_an_answer_has_its_reasoning_folded_and_its_result_boxed(chat, screenshots):
    chat.page.screenshot(path=screenshots / "welcome.png")
    chat.ask_and_wait()
    reasoning = chat.answer.locator("details")
    expect(reasoning).not_to_have_attribute("open", "")
    expect(reasoning.locator("summary")).to_have_text(
        re.compile(rf"^Thought · \d+ tokens · {SECONDS}$"))
    boxed = chat.answer.locator(".content .katex .fbox")
    expect(boxed).to_have_count(1)
    expect(chat.answer.locator(".content .katex-html")).to_have_text(re.compile("42"))
    expect(chat.answer.locator(".stats")).to_have_text(
        re.compile(rf"^first token {SECONDS} · ({RATE} · )?\d+ tokens · {SECONDS}$"))
    reasoning.locator("summary").click()
    expect(reasoning.locator(".prose")).to_contain_text("42")
    chat.page.screenshot(path=screenshots / "answer.png")


def num_tokens(summary):
    return int(re.search(r"([\d,]+) token", summary.inner_text())[1].replace(",", ""))


def num_cancelled(served):
    return served.metric("scheduler", "weft_scheduler_requests_total",
                         finish_reason="cancelled") or 0


def test_reasoning_can_be_read_while_it_streams_and_stopped(open_chat, slow, screenshots):
    chat = open_chat(slow)
    before = num_cancelled(slow)
    chat.ask()
    summary = chat.answer.locator("summary")
    expect(summary).to_have_text(re.compile(r"^Thinking · \d+ tokens"))
    expect(chat.answer.locator("details .prose")).to_be_hidden()
    summary.click()
    text = chat.answer.locator("details .prose")
    expect(text).not_to_be_empty()
    size, count = len(text.inner_text()), num_tokens(summary)
    assert stack.eventually(lambda: len(text.inner_text()) > size, 10)
    assert stack.eventually(lambda: num_tokens(summary) > count, 10)
    expect(chat.answer.locator(".stats")).to_have_text(
        re.compile(rf"^first token {SECONDS} · {RATE} · [\d,]+ tokens · {SECONDS}$"))
    chat.page.screenshot(path=screenshots / "thinking.png")
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.answer).to_have_attribute("data-state", "stopped")
    expect(chat.answer.locator(".stats")).to_have_text(re.compile("stopped$"))
    expect(summary).to_have_text(re.compile("^Thought"))
    expect(chat.question).to_be_focused()
    assert stack.eventually(lambda: num_cancelled(slow) == before + 1, 5)
    slow.expect_rest()


def test_escape_stops_too_and_a_draft_is_kept(open_chat, slow):
    chat = open_chat(slow)
    chat.ask()
    expect(chat.answer).to_have_attribute("data-state", "streaming")
    chat.question.fill("and then?")
    chat.question.press("Enter")
    assert len(chat.asked) == 1
    chat.page.keyboard.press("Escape")
    expect(chat.answer).to_have_attribute("data-state", "stopped")
    expect(chat.question).to_have_value("and then?")
    slow.expect_rest()


def test_two_models_answer_side_by_side_and_each_hears_itself(open_chat, served, screenshots):
    chat = open_chat(served)
    expect(chat.page.locator("button.model")).to_have_text(["reasoner", "solver"])
    chat.ask_and_wait()
    answers = chat.last_turn.locator(".answer")
    expect(answers).to_have_count(2)
    expect(answers.locator("h3")).to_have_text(["reasoner", "solver"])
    for answer in answers.all():
        expect(answer.locator(".content .katex .fbox")).to_have_count(1)
    left, right = (answer.bounding_box() for answer in answers.all())
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    chat.page.screenshot(path=screenshots / "side-by-side.png")
    chat.ask_and_wait("And if it were 18?")
    assert [body["model"] for body in chat.asked] == ["reasoner", "solver"] * 2
    for body in chat.asked[2:]:
        assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    first, second = (body["messages"][1]["content"] for body in chat.asked[2:])
    assert "42" in first and "42" in second


def test_the_last_answer_is_made_again_and_all_is_cleared(chat):
    chat.ask_and_wait()
    chat.ask_and_wait("And if it were 18?")
    again = chat.page.get_by_role("button", name="Regenerate")
    expect(again).to_have_count(1)
    again.click()
    expect(chat.answer).to_have_attribute("data-state", "done")
    assert chat.asked[1]["messages"] == chat.asked[2]["messages"]
    expect(chat.page.locator(".turn")).to_have_count(2)
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.page.locator(".turn")).to_have_count(0)
    expect(chat.page.get_by_role("heading", name="What shall we work out?")).to_be_visible()
    chat.ask_and_wait()
    assert len(chat.asked[-1]["messages"]) == 1


def test_an_answer_can_be_copied(chat):
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.say("The *answer*:\n\n```py\nprint(42)\n```")
    chat.ask_and_wait()
    chat.answer.locator("footer").get_by_role("button", name="Copy").click()
    expect(chat.answer.get_by_role("button", name="Copied")).to_be_visible()
    read = "navigator.clipboard.readText()"
    assert chat.page.evaluate(read) == "The *answer*:\n\n```py\nprint(42)\n```"
    chat.answer.locator("figure").get_by_role("button").click()
    assert stack.eventually(lambda: chat.page.evaluate(read) == "print(42)", 5)


def test_what_is_set_is_sent_and_what_is_not_is_left_to_the_model(chat, screenshots):
    chat.ask_and_wait()
    assert not {"temperature", "top_p", "max_tokens", "seed"} & set(chat.asked[-1])
    chat.page.get_by_role("button", name="Settings").click()
    for label, value in (("System prompt", "Be brief."), ("Temperature", "0"), ("Top p", "0.5"),
                         ("Max tokens", "5"), ("Seed", "7")):
        chat.page.get_by_label(label).fill(value)
    chat.page.screenshot(path=screenshots / "settings.png")
    chat.page.get_by_role("button", name="Done").click()
    chat.page.get_by_role("button", name="New chat").click()
    chat.ask_and_wait()
    sent = chat.asked[-1]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"], sent["seed"]) == (0, 0.5, 5, 7)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    expect(chat.answer.locator(".stats")).to_contain_text("5 tokens")
    expect(chat.answer.locator(".stats")).to_contain_text("cut off at the limit of tokens")


# ---- what models write ----

HOSTILE = """<script>window.pwned = 1</script>
<img src=x onerror="window.pwned = 2"> <svg onload="window.pwned = 3"></svg>

<iframe src="https://example.com/frame"></iframe>

[click](javascript:window.pwned=4) [me](JaVaScRiPt:window.pwned=5) [too](data:text/html,pwned)
<javascript:window.pwned=6> [a](vbscript:x) [b](file:///etc/passwd)

![pixel](https://example.com/pixel.png) ![x](x" onerror="window.pwned=7)

$\\href{javascript:window.pwned=8}{x}$ $\\includegraphics{https://example.com/a.png}$
$\\htmlData{x=y}{z}$ $\\def\\a{\\a\\a}\\a$

```"><img src=x onerror=window.pwned=9>
</code><script>window.pwned = 10</script>
```

| <b onclick=x> |
|---|
| <style>body{display:none}</style> |

A [good link](https://example.com/page)."""


def test_what_a_model_writes_stays_inert(chat, screenshots):
    chat.say(HOSTILE)
    chat.ask_and_wait("<img src=x onerror=window.pwned=11>")
    chat.page.wait_for_timeout(200)
    assert chat.page.evaluate("window.pwned") is None
    made = chat.last_turn.locator(
        "script, img, iframe, style, object, embed, link, b, [onerror], [onload]")
    expect(made).to_have_count(0)
    links = [link.get_attribute("href") for link in chat.last_turn.locator("a").all()]
    assert links == ["https://example.com/pixel.png", "https://example.com/page"]
    for link in chat.last_turn.locator("a").all():
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in link.get_attribute("rel")
    expect(chat.answer).to_contain_text("<script>window.pwned = 1</script>")
    chat.page.screenshot(path=screenshots / "inert.png")


GALLERY = r"""# Mathematics

The roots of $ax^2 + bx + c = 0$ are

\[
x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a},
\]

and \(\vec{v} \cdot \vec{w} = \lVert v \rVert \lVert w \rVert \cos\theta\). It costs $5 to $10.

$$
A = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}, \qquad
\fcolorbox{teal}{white}{$\pmb{\det A}$} = -2,
\qquad \overbrace{a + \cdots + a}^{n} \xrightarrow{\text{so}} \cancel{x}
$$

1. A **list** with `code` and \boxed{\frac{1}{2}}
2. and $\notacommand{x}$

> A quotation, and a [link](https://example.com).

| n | n² |
|--:|:--:|
| 12 | 144 |

```python
def square(n):
    return n * n
```
"""


def test_mathematics_and_markdown_are_set(chat, screenshots):
    chat.say(GALLERY)
    chat.ask_and_wait("Show me.")
    content = chat.answer.locator(".content")
    expect(content.locator(".katex")).to_have_count(5)
    expect(content.locator(".math .katex-display")).to_have_count(2)
    expect(content.locator(".math-error")).to_have_text("\\notacommand{x}")
    expect(content).to_contain_text("It costs $5 to $10.")
    for selector in ("h1", "ol > li", "blockquote a", "td.center", "pre code", "strong"):
        expect(content.locator(selector).first).to_be_visible()
    # Styles that KaTeX gives as attributes are applied, without a breach of the policy.
    arrow = content.locator("svg[style]").first
    assert re.search(r"width: [\d.]+em", arrow.get_attribute("style"))
    assert chat.page.evaluate("document.fonts.check('16px KaTeX_Main')")
    chat.page.set_viewport_size({"width": 1200, "height": 1300})
    chat.page.screenshot(path=screenshots / "mathematics.png")


def test_a_text_that_grows_keeps_what_is_drawn(chat):
    chat.page.evaluate("""() => {
        window.kept = [];
        const {fetch} = window;
        window.fetch = async (path, options) => {
            if (!path.endsWith("completions")) return fetch(path, options);
            let send;
            const body = new ReadableStream({start: (controller) => (send = controller)});
            const frame = (text) => "data: " + JSON.stringify(
                {choices: [{delta: {content: text}}]}) + "\\n\\n";
            // One byte at a time: characters, frames and lines are cut everywhere.
            window.push = async (text) => {
                for (const byte of new TextEncoder().encode(frame(text))) {
                    send.enqueue(new Uint8Array([byte]));
                }
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
            };
            window.finish = () => {
                send.enqueue(new TextEncoder().encode("data: [DONE]\\n\\n"));
                send.close();
            };
            return new Response(body);
        };
    }""")
    chat.ask()
    expect(chat.answer).to_be_visible()
    chat.page.evaluate("push('Erste Zeile: 你好 🧮 $x$')")
    first = chat.answer.locator(".content > p").first
    expect(first.locator(".katex")).to_have_count(1)
    handle = first.element_handle()
    chat.page.evaluate("push('\\n\\nSecond')")
    chat.page.evaluate("push(' paragraph\\n\\nThird')")
    chat.page.evaluate("finish()")
    expect(chat.answer).to_have_attribute("data-state", "done")
    expect(chat.answer.locator(".content > p")).to_have_count(3)
    expect(first).to_contain_text("Erste Zeile: 你好 🧮")
    assert handle.evaluate("(element) => element.isConnected"), "it was drawn anew"


# ---- what goes wrong ----

def test_an_error_is_shown_in_the_servers_words(chat, screenshots):
    chat.page.get_by_role("button", name="Settings").click()
    chat.page.get_by_label("Max tokens").fill("100000000")
    chat.page.get_by_role("button", name="Done").click()
    chat.ask_and_wait(state="failed")
    refused = httpx.post(f"{chat.url}/v1/chat/completions", json={
        "model": "reasoner", "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 100000000})
    assert refused.status_code == 400
    expect(chat.answer.get_by_role("alert")).to_contain_text(refused.json()["error"]["message"])
    chat.page.screenshot(path=screenshots / "error.png")


def test_a_refusal_says_when_to_try_again(chat):
    chat.refuse(503, {"message": "The server is overloaded.", "type": "server_error"},
                {"Retry-After": "7"})
    chat.ask_and_wait(state="failed")
    alert = chat.answer.get_by_role("alert")
    expect(alert).to_contain_text("The server is overloaded.")
    expect(alert).to_contain_text("Try again in 7 s.")
    chat.page.unroute(CHAT)
    chat.answer.get_by_role("button", name="Try again").click()
    expect(chat.answer).to_have_attribute("data-state", "done")
    expect(chat.answer.get_by_role("alert")).to_be_hidden()


def test_an_error_in_mid_stream_keeps_what_came(chat):
    chat.script(delta("So far "), {"error": {"message": "The worker was lost.",
                                             "type": "server_error"}}, "[DONE]")
    chat.ask_and_wait(state="failed")
    expect(chat.answer.locator(".content")).to_have_text("So far")
    alert = chat.answer.get_by_role("alert")
    expect(alert).to_contain_text("The answer broke off")
    expect(alert).to_contain_text("The worker was lost.")
    chat.page.unroute(CHAT)
    chat.script(delta("Half an"))
    chat.ask_and_wait(state="failed")
    expect(chat.answer.get_by_role("alert")).to_have_text("The stream ended before the answer did.")


def test_a_server_that_is_gone_is_told(chat):
    chat.page.route(CHAT, lambda route: route.abort())
    chat.ask_and_wait(state="failed")
    expect(chat.answer.get_by_role("alert")).to_have_text("The server does not answer.")


def test_a_key_is_asked_for_kept_for_the_tab_and_sent(open_chat, served):
    chat = open_chat(served)
    keys = []

    def guard(route):
        keys.append(route.request.headers.get("authorization"))
        if keys[-1] == "Bearer sesame":
            return route.continue_()
        error = {"message": "Incorrect API key.", "type": "authentication_error"}
        return route.fulfill(status=401, headers={"Content-Type": "application/json"},
                             body=json.dumps({"error": error}))
    chat.page.route("**/v1/**", guard)
    chat.page.reload()
    key = chat.page.get_by_label("API key")
    expect(key).to_be_focused()
    expect(chat.page.locator("#notice")).to_contain_text("Incorrect API key.")
    key.fill("sesame")
    key.press("Enter")
    expect(chat.page.locator("button.model")).to_have_count(2)
    expect(chat.page.locator("#notice")).to_be_hidden()
    chat.ask_and_wait()
    chat.page.reload()
    expect(chat.page.locator("button.model")).to_have_count(2)
    assert keys[0] is None and set(keys[1:]) == {"Bearer sesame"}
    assert "sesame" not in chat.page.evaluate("JSON.stringify(localStorage)")


# ---- hands, eyes, languages ----

def test_it_works_by_keyboard_alone(open_chat, served):
    chat = open_chat(served)
    press, focused = chat.page.keyboard.press, lambda: chat.page.evaluate("""() => {
        const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
        if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) return "no outline";
        return document.activeElement.id || document.activeElement.innerText;
    }""")
    expect(chat.question).to_be_focused()
    backwards = []
    for _ in range(10):
        press("Shift+Tab")
        backwards.append(focused())
    assert backwards[4:] == ["open-settings", "language", "clear", "solver", "reasoner",
                             "Skip to the question"]
    assert "no outline" not in backwards
    solver = chat.page.get_by_role("button", name="solver")
    solver.focus()
    press("Space")
    expect(solver).to_have_attribute("aria-pressed", "false")

    chat.page.locator("#open-settings").focus()
    press("Enter")
    expect(chat.page.get_by_label("System prompt")).to_be_focused()
    press("Tab")
    expect(chat.page.get_by_label("Temperature")).to_be_focused()
    press("Escape")
    expect(chat.page.locator("#settings")).to_be_hidden()
    expect(chat.page.locator("#open-settings")).to_be_focused()

    chat.page.locator(".skip").focus()
    press("Enter")
    expect(chat.question).to_be_focused()
    chat.page.keyboard.type("What is")
    press("Shift+Enter")
    chat.page.keyboard.type("17 + 25?")
    press("Enter")
    expect(chat.answer).to_have_attribute("data-state", "done")
    assert chat.asked[-1]["messages"][0]["content"] == "What is\n17 + 25?"
    expect(chat.question).to_be_focused()
    expect(chat.page.get_by_role("status")).to_have_text(re.compile(r"Answer complete, \d+ tokens"))
    press("Shift+Tab")
    assert focused() == "Regenerate"
    press("Shift+Tab")
    press("Shift+Tab")
    press("Space")
    expect(chat.answer.locator("details")).to_have_attribute("open", "")


def test_enter_that_ends_a_word_of_an_input_method_does_not_send(chat):
    chat.question.fill("你好")
    chat.question.evaluate("""(element) => element.dispatchEvent(
        new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true}))""")
    expect(chat.question).to_have_value("你好")
    assert chat.asked == []


def test_it_speaks_chinese_and_can_be_switched(open_chat, served, screenshots):
    chat = open_chat(served, locale="zh-CN")
    expect(chat.page.locator("html")).to_have_attribute("lang", "zh-CN")
    chat.only("reasoner")
    chat.ask_and_wait()
    expect(chat.page.get_by_role("button", name="设置")).to_be_visible()
    expect(chat.answer.locator("summary")).to_have_text(
        re.compile(r"^已思考 · \d+ 个 token · [\d.]+ 秒$"))
    expect(chat.answer.locator(".stats")).to_have_text(re.compile(r"^首个 token [\d.]+ 秒 · "))
    expect(chat.answer.get_by_role("button", name="重新生成")).to_be_visible()
    chat.page.screenshot(path=screenshots / "chinese.png")
    chat.page.get_by_role("button", name="English").click()
    expect(chat.answer.locator("summary")).to_have_text(re.compile("^Thought"))
    expect(chat.page.get_by_role("button", name="Settings")).to_be_visible()
    chat.page.reload()
    expect(chat.page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("width, height", [(320, 568), (390, 844)])
def test_it_fits_a_phone(open_chat, served, screenshots, width, height):
    chat = open_chat(served, viewport={"width": width, "height": height}, has_touch=True,
                     is_mobile=True, device_scale_factor=2)
    assert not chat.is_wider_than_its_window()
    chat.page.screenshot(path=screenshots / f"phone-{width}-welcome.png")
    chat.question.fill(QUESTION)
    chat.question.press("Enter")  # begins a line: there is a button
    assert chat.asked == []
    chat.page.get_by_role("button", name="Send").tap()
    for answer in chat.last_turn.locator(".answer").all():
        expect(answer).to_have_attribute("data-state", "done")
    above, below = (answer.bounding_box() for answer in chat.last_turn.locator(".answer").all())
    assert above["y"] + above["height"] <= below["y"], "not one below the other"
    chat.page.screenshot(path=screenshots / f"phone-{width}.png")
    wide = ["$$" + "x + " * 40 + "x$$", "long" * 60, "`" + "code" * 60 + "`"]
    chat.say("\n\n".join([GALLERY, *wide]))
    chat.question.fill("Show me.")
    chat.page.get_by_role("button", name="Send").tap()
    for answer in chat.last_turn.locator(".answer").all():
        expect(answer).to_have_attribute("data-state", "done")
    assert not chat.is_wider_than_its_window()
    for control in ("#question", "#send", "#open-settings"):
        box = chat.page.locator(control).bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= width, control
        assert 0 <= box["y"] and box["y"] + box["height"] <= height, control
    chat.page.locator("#open-settings").tap()
    expect(chat.page.get_by_label("Temperature")).to_be_visible()
    chat.page.screenshot(path=screenshots / f"phone-{width}-settings.png")


def test_it_is_dark_where_all_is(open_chat, served, screenshots):
    chat = open_chat(served, color_scheme="dark")
    chat.ask_and_wait()
    background = chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background))) < 64
    chat.page.screenshot(path=screenshots / "dark.png")


# ---- how it is served ----

def test_files_are_compressed_kept_and_asked_for_again(served):
    page = httpx.get(f"{served.url}/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-encoding"] == "gzip"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    again = httpx.get(f"{served.url}/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-length" not in again.headers
    head = httpx.head(f"{served.url}/playground/main.js", headers={"Accept-Encoding": "identity"})
    whole = httpx.get(f"{served.url}/playground/main.js", headers={"Accept-Encoding": "identity"})
    assert head.headers["content-length"] == str(len(whole.content)) and head.content == b""
    assert httpx.post(f"{served.url}/").status_code == 405
    assert httpx.get(f"{served.url}/playground/nothing.js").status_code == 404
    assert f"Talk to them in a browser: {served.url}/" in served.output()


def test_it_can_be_switched_off(bin_dir, demo_model):
    with stack.Served(bin_dir, demo_model, [*SLOW, "--playground=false"]) as served:
        for path in ("/", "/playground/main.js"):
            refused = httpx.get(f"{served.url}{path}")
            assert refused.status_code == 404 and refused.json()["error"]["code"] == "unknown_url"
        assert "browser" not in served.output()
