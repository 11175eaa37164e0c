"""A model's name or folder in, the model and its tokenizer out."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from attnscope.errors import AttnscopeWarning, InputError, ModelError
from attnscope.recording.loading import load_model
from tests.models import zoo
from tests.models.folders import save_models


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def bert(saved, tmp_path):
    return shutil.copytree(saved / "bert", tmp_path / "bert")


def test_it_gives_the_model_as_saved(saved):
    model, tokenizer = load_model(str(saved / "bert"))
    known = zoo.build(zoo.family("bert"))
    assert not model.training
    kept = known.state_dict()
    assert set(kept) <= set(model.state_dict())
    for name, tensor in kept.items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    assert tokenizer("The cat")["input_ids"] == zoo.tokenizer_of(zoo.family("bert"))("The cat")["input_ids"]


def test_the_precision_that_was_asked_for(saved):
    assert load_model(str(saved / "bert"), dtype="bfloat16")[0].dtype == torch.bfloat16


def test_an_encoder_decoder_can_write(saved):
    assert load_model(str(saved / "bart"))[0].can_generate()


def test_weights_that_no_file_has_are_told(bert):
    weights = load_file(bert / "model.safetensors")
    dropped = next(name for name in weights if "query.weight" in name)
    save_file(
        {name: tensor for name, tensor in weights.items() if name != dropped},
        bert / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.warns(AttnscopeWarning, match="1 of the weights of .* random: .*query.weight"):
        load_model(str(bert))


def broken_json(folder):
    (folder / "config.json").write_text("{")


def unknown_type(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))


def code_of_its_own(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}))


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def damaged_weights(folder):
    (folder / "model.safetensors").write_bytes(b"damaged")


def no_tokenizer(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    for path in folder.glob("vocab*"):
        path.unlink()


def no_config(folder):
    (folder / "config.json").unlink()


DAMAGE = {
    broken_json: "not a valid JSON file",
    unknown_type: "no-such-model",
    code_of_its_own: "comes with code of its own",
    no_weights: "no file named model.safetensors",
    damaged_weights: "files are damaged",
    no_tokenizer: "no tokenizer|load the tokenizer",
    no_config: "has no config.json",
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.items(), ids=lambda given: getattr(given, "__name__", ""))
def test_what_is_wrong_with_a_folder_is_said(bert, damage, said, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("nobody may be asked"))
    damage(bert)
    with pytest.raises(ModelError, match=said) as refused:
        load_model(str(bert))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-model", "HF_HUB_OFFLINE keeps it"),
        ("./no/such", "no folder"),
        ("/no/such", "no folder"),
        ("a/b/c", "no folder"),
        ("~/no-such-folder-of-mine", "no folder"),
        ("two words", "neither a folder nor a model's name"),
        (__file__, "is a file"),
    ],
)
def test_what_is_no_model_is_refused(name, said):
    with pytest.raises(ModelError, match=said):
        load_model(name)


def test_a_device_that_is_not_there(saved):
    with pytest.raises(InputError, match="device 'toaster'"):
        load_model(str(saved / "bert"), device="toaster")
