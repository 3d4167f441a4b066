"""Images in a prompt: what is sent, and how many tokens each may count as.

Where the vendors say how they count (read in November 2026):

- Anthropic, "Vision": blocks of 28 x 28 pixels, after the image was made to fit into 1,568 of them, or 4,784 on the
  models that see in high resolution; formerly width x height / 750.
- OpenAI, "Images and vision": either patches of 32 x 32, at most 2,500 of them with `detail: high`, times a factor
  of the model of up to 2.46, or 10,000 where it sees them as they are (`original`, which newer models also take `auto`
  for), times 1.2; or tiles of 512 x 512 after scaling to 2,048 x 768: 85 + 170 for each of at most eight.
- Google, "Media resolution", through OpenAI's format: 258 for a tile, or 1,120 at its default: fewer than OpenAI's.

One model counts otherwise: GPT-4o mini takes 2,833 + 5,667 for each tile. Such a figure stands with the model
(`AIModel.image_tokens`), as do those of models that are known to count less than their kind's rule.
"""

from base64 import b64encode
from dataclasses import dataclass

MOST_OF_TILES = 1_445
BLOCK, MOST_BLOCKS = 28, 4_784
PATCH, MOST_PATCHES, DEAREST_PATCH_PERCENT = 32, 2_500, 246
MOST_ORIGINAL, ORIGINAL_PERCENT = 10_000, 120
ORDINARY_MOST = 1_536
SLACK = 64
"""Tokens for the markers around an image, and for a vendor's rounding."""


@dataclass(frozen=True, slots=True)
class PromptImage:
    """An image of a prompt. `token_bound` is the most it can count as, `tokens` what it counts as where nobody says."""

    media_type: str
    content: bytes
    token_bound: int
    tokens: int

    @property
    def base64(self) -> str:
        return b64encode(self.content).decode("ascii")


def most_tokens(kind: str, width: int, height: int, *, is_original: bool = False) -> int:
    """More than any current model of that kind counts for an image of that size in pixels.

    `is_original`: it may be seen as it is, not made smaller first.
    """
    if kind == "openai":
        patches = pieces(width, height, PATCH)
        high = min(patches, MOST_PATCHES) * DEAREST_PATCH_PERCENT
        original = min(patches, MOST_ORIGINAL) * ORIGINAL_PERCENT * is_original
        return max(MOST_OF_TILES, -(-max(high, original) // 100)) + SLACK
    blocks = max(pieces(width, height, BLOCK), -(-width * height // 750))
    return min(blocks, MOST_BLOCKS) + SLACK


def ordinary_tokens(width: int, height: int) -> int:
    """What an image counts as where nothing was reported: patches without a factor, in the user's favour."""
    return min(pieces(width, height, PATCH), ORDINARY_MOST)


def pieces(width: int, height: int, side: int) -> int:
    return -(-width // side) * -(-height // side)
