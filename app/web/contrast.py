"""Shades of a brand colour that can be read on light and dark pages (WCAG 2.2, 1.4.3)."""

LEAST = 4.5
"""The contrast of text that WCAG asks for at level AA."""

LIGHT_SURFACES, DARK_SURFACES = ("#ffffff", "#faf9f6", "#f2f1ec"), ("#171c1b", "#101413", "#222a28")
STEPS = 40
Channels = tuple[float, float, float]


def palette(color: str) -> dict[str, str]:
    """The custom properties of the style sheet, for light and dark pages, made of one colour like #0b6753."""
    light, dark = toward(color, "#000000", LIGHT_SURFACES), toward(color, "#ffffff", DARK_SURFACES)
    on_light, on_dark = readable_on(light), readable_on(dark)
    return {
        "--accent": pair(light, dark),
        "--accent-hover": pair(mixed(light, "#000000", 0.15), mixed(dark, "#ffffff", 0.2)),
        "--on-accent": pair(on_light, on_dark),
        "--accent-soft": pair(mixed(light, "#ffffff", 0.9), mixed(dark, "#101413", 0.82)),
        "--focus": pair(light, dark),
    }


def pair(light: str, dark: str) -> str:
    return f"light-dark({light}, {dark})"


def toward(color: str, end: str, surfaces: tuple[str, ...]) -> str:
    """The colour, moved towards black or white until it can be read on all of these surfaces."""
    for step in range(STEPS + 1):
        moved = mixed(color, end, step / STEPS)
        if min(contrast(moved, surface) for surface in surfaces) >= LEAST:
            return moved
    return end


def readable_on(color: str) -> str:
    """Black or white, whichever is read better on the colour."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, color))


def mixed(color: str, other: str, share: float) -> str:
    parts = zip(channels(color), channels(other), strict=True)
    return "#" + "".join(f"{round((one + (two - one) * share) * 255):02x}" for one, two in parts)


def contrast(one: str, two: str) -> float:
    """From 1 to 21 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    lighter, darker = sorted((luminance(one), luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    red, green, blue = (linear(channel) for channel in channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(channel: float) -> float:
    return float(channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4)


def channels(color: str) -> Channels:
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
