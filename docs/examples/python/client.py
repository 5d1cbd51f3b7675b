#!/usr/bin/env python3
"""A client of weft.v1.InferenceService: a streamed chat, then tokens in and tokens out.

  client.py [ADDRESS [TIMEOUT_S [QUESTION]]]
"""

import itertools
import pathlib
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# grpcio-tools makes the messages and the stub from the .proto as the program starts.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "proto"))
pb, services = grpc.protos_and_services("weft/v1/inference.proto")


def retry_delay(error):
    """Seconds until the server would like to be asked again."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return retry.retry_delay.ToTimedelta().total_seconds()
    return 0.5  # nobody was there to say


def with_retries(call, deadline):
    """call(seconds left) until the server is there and has room, or the deadline is near."""
    while True:
        try:
            return call(deadline - time.monotonic())
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            delay = retry_delay(error)
            if time.monotonic() + delay > deadline:
                raise
            print(f"unavailable ({error.details()}), again in {delay:g} s", file=sys.stderr)
            time.sleep(delay)


def stream_chat(stub, messages, deadline):
    """Prints the answer as it comes, what the model thinks apart from what it says."""
    request = pb.ChatRequest(messages=messages,
                             options=pb.GenerationOptions(temperature=0))

    def begin(seconds):
        # An answer that has begun cannot be asked for again: the first chunk decides.
        chunks = stub.StreamChat(request, timeout=seconds)
        return itertools.chain([next(chunks)], chunks)

    part = ""
    for chunk in with_retries(begin, deadline):
        for choice in chunk.choices:
            for name, text in (("thinking", choice.message.reasoning_content),
                               ("answer", choice.message.content)):
                if text and name != part:
                    print(f"\n{name}: " if part else f"{name}: ", end="")
                    part = name
                print(text, end="", flush=True)
            if choice.finish_reason:
                print(f"\nended: {choice.finish_reason}")


def complete_tokens(stub, messages, deadline):
    """For those that keep token ids themselves: the same question, and how its answer begins."""
    conversation = pb.TokenizeRequest(chat=pb.ChatMessages(messages=messages))
    prompt = with_retries(
        lambda seconds: stub.Tokenize(conversation, timeout=seconds), deadline).tokens
    request = pb.CompletionRequest(
        tokens=pb.TokenIds(ids=prompt),
        options=pb.GenerationOptions(max_tokens=8, temperature=0, return_token_ids=True))
    answer = with_retries(lambda seconds: stub.Complete(request, timeout=seconds), deadline)
    print("tokens in:", *prompt)
    print("tokens out:", *answer.choices[0].token_ids)


def main():
    address, timeout_s, question = (sys.argv[1:] + ["127.0.0.1:8001", "60", "What is 17 + 25?"]
                                    [len(sys.argv) - 1:])
    deadline = time.monotonic() + float(timeout_s)
    messages = [pb.ChatMessage(role="user", content=question)]
    with grpc.insecure_channel(address) as channel:
        stub = services.InferenceServiceStub(channel)
        try:
            stream_chat(stub, messages, deadline)
            complete_tokens(stub, messages, deadline)
        except grpc.RpcError as error:
            sys.exit(f"\n{error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
