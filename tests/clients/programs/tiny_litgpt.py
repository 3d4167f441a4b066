"""litgpt's server with a tiny model of random weights that is made on the spot: `tiny_litgpt.py FOLDER PORT`."""

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
from litgpt import GPT, Config  # type: ignore[import-not-found]
from litgpt.deploy.serve import run_server  # type: ignore[import-not-found]
from litgpt.utils import save_config  # type: ignore[import-not-found]
from tiny_weights import (  # type: ignore[import-not-found]
    CONTEXT,
    HEADS,
    INNER,
    LAYERS,
    SPECIAL,
    WIDTH,
    write,
    write_tokenizer,
)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(exist_ok=True)
    tokens = write_tokenizer(folder)
    write(folder, "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    sizes = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "intermediate_size": INNER}
    sizes |= {"block_size": CONTEXT, "vocab_size": tokens, "padded_vocab_size": tokens}
    kinds = {
        "norm_class_name": "RMSNorm",
        "mlp_class_name": "LLaMAMLP",
        "bias": False,
        "parallel_residual": False,
    }
    config = Config(name="tiny", rotary_percentage=1.0, **sizes, **kinds)
    torch.manual_seed(7)
    weights = GPT(config).state_dict()
    weights["lm_head.weight"][: len(SPECIAL)] = 0
    torch.save(weights, folder / "lit_model.pth")
    save_config(config, folder)
    run_server(folder, openai_spec=True, port=port, accelerator="cpu", precision="32-true")


if __name__ == "__main__":
    main()
