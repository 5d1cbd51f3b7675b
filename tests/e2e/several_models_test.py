"""Two models behind one gateway, as `weft serve A B` starts them."""

import concurrent.futures
import os
import signal

import grpc
import httpx
import openai
import pytest
import reflection
import stack

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]


class TwoModels(stack.Served):
    """`reasoner`, also called `first`, and `solver`."""

    def __init__(self, bin_dir, reasoner, solver):
        super().__init__(bin_dir, reasoner)
        self.solver = solver

    def command(self):
        words = super().command()
        names = words.index("--served-model-name")
        return [*words[:names], str(self.solver), "--served-model-name", "reasoner,first",
                "--served-model-name", "solver", *words[names + 2:]]

    def worker_pid(self, model):
        """Only of this stack: another test's may serve the same model."""
        for pid in stack.children(self.process.pid):
            binary, *flags = stack.command_line(pid)
            if binary.endswith("weft-worker") and f"--model={model}" in flags:
                return pid
        raise AssertionError(f"no worker of {model}")


@pytest.fixture(scope="module")
def served(bin_dir, demo_model, math_model):
    with TwoModels(bin_dir, demo_model, math_model) as served:
        yield served


def ask(client, model, **options):
    return client.chat.completions.create(model=model, messages=QUESTION, temperature=0, **options)


def test_both_are_listed_and_answer_by_name(served):
    assert "reasoner and solver are served at" in served.output()
    with served.client() as client:
        assert [model.id for model in client.models.list()] == ["reasoner", "first", "solver"]
        for name, reasons in (("reasoner", True), ("first", True), ("solver", False)):
            answer = ask(client, name)
            assert answer.model == name
            assert "\\boxed{42}" in answer.choices[0].message.content
            assert bool(answer.choices[0].message.reasoning_content) == reasons
        with pytest.raises(openai.NotFoundError, match="this server has `reasoner`, `solver`"):
            ask(client, "nobody")
    for name, accepted in (("reasoner", 2), ("solver", 1)):
        assert served.metric("gateway", "weft_gateway_requests_accepted_total",
                             model=name) == accepted


def test_a_model_must_be_named(served):
    refused = httpx.post(f"{served.url}/v1/chat/completions", json={"messages": QUESTION})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "model"
    assert "model is required" in refused.json()["error"]["message"]


def test_each_tokenizes_for_itself(served):
    for name in ("reasoner", "solver"):
        tokens = httpx.post(f"{served.url}/tokenize",
                            json={"model": name, "prompt": "17 + 25"}).json()["tokens"]
        text = httpx.post(f"{served.url}/detokenize", json={"model": name, "tokens": tokens})
        assert "17 + 25" in text.json()["prompt"]
        info = httpx.get(f"{served.url}/tokenizer_info", params={"model": name}).json()
        assert info["eos_token"] and ("<think>" in info["chat_template"]) == (name == "reasoner")
    assert httpx.post(f"{served.url}/tokenize",
                      json={"model": "nobody", "prompt": "a"}).status_code == 404
    assert httpx.get(f"{served.url}/tokenizer_info").status_code == 400


def test_grpc_goes_by_model_too(served):
    with grpc.insecure_channel(served.grpc_address) as channel:
        chat = reflection.Service(channel).method("Chat")
        for name in ("reasoner", "solver"):
            answer = chat(model=name, messages=QUESTION)
            assert answer.model == name
        with pytest.raises(grpc.RpcError) as error:
            chat(model="nobody", messages=QUESTION)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_model_whose_worker_dies_disturbs_no_other(served, demo_model):
    with served.client() as client, concurrent.futures.ThreadPoolExecutor(8) as pool:
        whole = {name: ask(client, name).choices[0].message.content
                 for name in ("reasoner", "solver")}
        asked = {name: [pool.submit(ask, client, name) for _ in range(4)] for name in whole}
        os.kill(served.worker_pid(demo_model), signal.SIGKILL)
        for name, answers in asked.items():
            for answer in answers:
                assert answer.result(60).choices[0].message.content == whole[name]
    assert stack.eventually(lambda: "worker of reasoner ended: killed by SIGKILL" in served.log(), 5)
