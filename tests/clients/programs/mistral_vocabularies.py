"""How many tokens the vocabularies in mistral-common make of each code point, as `vocabularies.mjs` prints it.

What SentencePiece sets before any text at all is left out: a message's overhead has room for it.
"""

import json

from mistral_common.tokens.tokenizers.mistral import MistralTokenizer  # type: ignore[import-not-found]

ASSIGNED, STEP = 0x32400, 1021
POINTS = [*range(1, 0xD800), *range(0xE000, ASSIGNED), *range(ASSIGNED, 0x110000, STEP)]


def main() -> None:
    made = {"tekken": MistralTokenizer.v3(is_tekken=True), "v3": MistralTokenizer.v3()}
    for name, whole in made.items():
        vocabulary = whole.instruct_tokenizer.tokenizer
        lead = len(vocabulary.encode("\x01", bos=False, eos=False)) - 1
        counts = [[at, len(vocabulary.encode(chr(at) * 4, bos=False, eos=False)) - lead] for at in POINTS]
        print(json.dumps([name, counts]))  # noqa: T201


if __name__ == "__main__":
    main()
