"""llama.cpp's server with a tiny model of random weights that is made on the spot: `tiny_llama.py FOLDER PORT`.

Its vocabulary is the bytes and a blank, so that text has as many tokens as bytes. It speaks nonsense, without an end.
"""

import signal
import sys
from pathlib import Path

import gguf  # type: ignore[import-not-found]
import numpy as np  # type: ignore[import-not-found]
import xllamacpp  # type: ignore[import-not-found]

SPECIAL = [b"<unk>", b"<s>", b"</s>"]
BYTES = [f"<0x{byte:02X}>".encode() for byte in range(256)]
TOKENS = [*SPECIAL, *BYTES, "\u2581".encode()]
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
WIDTH, INNER, LAYERS, HEADS = 64, 128, 2, 4
CONTEXT = 512
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def write_model(path: Path) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    describe(writer)
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output": (len(TOKENS), WIDTH), "output_norm": (WIDTH,)}
    for number in range(LAYERS):
        layer = f"blk.{number}."
        shapes |= {f"{layer}{name}": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"{layer}attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"{layer}ffn_{name}": (INNER, WIDTH) for name in ("gate", "up")}
        shapes[f"{layer}ffn_down"] = (WIDTH, INNER)
    chance = np.random.default_rng(7)
    for name, shape in shapes.items():
        weights = np.ones(shape) if len(shape) == 1 else chance.standard_normal(shape) * 0.3
        if name == "output":
            weights[TOKENS.index(b"</s>")] = 0
        writer.add_tensor(f"{name}.weight", weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer: "gguf.GGUFWriter") -> None:
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types([UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, NORMAL])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)


def main() -> None:
    path, port = Path(sys.argv[1]) / "tiny.gguf", int(sys.argv[2])
    write_model(path)
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(path), ["tiny"]
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.hostnames, params.port = ["127.0.0.1"], port
    params.sampling.ignore_eos = True
    server = xllamacpp.Server(params)
    print("listens at", server.listening_address, flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    main()
