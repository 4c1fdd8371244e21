"""The patch of old mineru-vl-utils, against a stand-in of 0.1.13's client."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mineru_accel import patches
from mineru_accel.patches import State

NAME = "mineru-vl-utils-lora-tokenizer"


class Tokenizer:
    pass


@pytest.fixture
def client(module):
    class VllmAsyncEngineVlmClient:
        def __init__(self, vllm_async_llm, prompt="p"):
            self.tokenizer = vllm_async_llm.tokenizer.get_lora_tokenizer()
            self.prompt = prompt

    module("mineru_vl_utils.vlm_client.vllm_async_engine_client", VllmAsyncEngineVlmClient=VllmAsyncEngineVlmClient)
    return VllmAsyncEngineVlmClient


def test_old_client_works_and_is_put_back(client, versions):
    versions(mineru_vl_utils="0.1.13")
    with pytest.raises(AttributeError):
        client(SimpleNamespace(tokenizer=Tokenizer()))
    assert patches.apply(NAME).state is State.ACTIVE
    tokenizer = Tokenizer()
    made = client(SimpleNamespace(tokenizer=tokenizer), prompt="q")
    assert made.tokenizer is tokenizer and made.prompt == "q"
    patches.revert(NAME)
    with pytest.raises(AttributeError):
        client(SimpleNamespace(tokenizer=Tokenizer()))


def test_a_tokenizer_that_has_the_method_keeps_it(client, versions):
    versions(mineru_vl_utils="0.1.0")
    patches.apply(NAME)
    engine = SimpleNamespace(tokenizer=SimpleNamespace(get_lora_tokenizer=lambda: "its own"))
    assert client(engine).tokenizer == "its own"


def test_not_needed_on_what_this_project_installs():
    status = patches.apply(NAME)
    assert status.state is State.NOT_NEEDED and "since 0.1.14" in status.reason
