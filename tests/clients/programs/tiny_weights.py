"""Writes a tiny model of random weights as a folder of Hugging Face's form: `tiny_weights.py FOLDER`.

Its vocabulary is the bytes, so that text has as many tokens as bytes. It speaks nonsense, without an end.
"""

import json
import sys
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
from safetensors.numpy import save_file  # type: ignore[import-not-found]
from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # type: ignore[import-not-found]

SPECIAL = ["<unk>", "<s>", "</s>"]
WIDTH, INNER, LAYERS, HEADS = 64, 128, 2, 4
CONTEXT = 512
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def write_tokenizer(folder: Path) -> int:
    """How many tokens there are."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=known, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **marks})
    return len(known)


def write_weights(folder: Path, tokens: int) -> None:
    shapes = {"model.embed_tokens": (tokens, WIDTH), "model.norm": (WIDTH,), "lm_head": (tokens, WIDTH)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}."
        shapes |= {f"{layer}{name}": (WIDTH,) for name in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{layer}self_attn.{name}_proj": (WIDTH, WIDTH) for name in "qkvo"}
        shapes |= {f"{layer}mlp.{name}_proj": (INNER, WIDTH) for name in ("gate", "up")}
        shapes[f"{layer}mlp.down_proj"] = (WIDTH, INNER)
    chance, weights = np.random.default_rng(7), {}
    for name, shape in shapes.items():
        made = np.ones(shape) if len(shape) == 1 else chance.standard_normal(shape) * 0.3
        if name == "lm_head":
            made[: len(SPECIAL)] = 0
        weights[f"{name}.weight"] = made.astype(np.float32)
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content))


def write_model(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    tokens = write_tokenizer(folder)
    write_weights(folder, tokens)
    sizes = {
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "vocab_size": tokens,
    }
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS}
    kinds = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32"}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": False}
    limits = {"max_position_embeddings": CONTEXT, "rope_theta": 10_000.0}
    write(folder, "config.json", sizes | heads | kinds | ends | limits)
    write(folder, "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "do_sample": False})


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
