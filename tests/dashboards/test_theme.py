"""Both themes: text can be read on every background, and series can be told from it."""

import tomllib

import pytest

from dashboards import contents

THEME = tomllib.loads((contents.HERE / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
READABLE, VISIBLE = 4.5, 1.5


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_is_readable(name):
    theme = THEME[name]
    pairs = {
        (text, ground): contrast(theme[text], theme[ground])
        for text in ("textColor", "primaryColor", "linkColor", "grayTextColor")
        for ground in ("backgroundColor", "secondaryBackgroundColor")
    }
    pairs[("dataframeHeaderTextColor", "its own")] = contrast(
        theme["dataframeHeaderTextColor"], theme["dataframeHeaderBackgroundColor"]
    )
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < READABLE} == {}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_series_stand_out_from_the_page(name):
    ground = THEME[name]["backgroundColor"]
    assert [one for one in THEME["chartCategoricalColors"] if contrast(one, ground) < VISIBLE] == []


def test_both_themes_say_the_same_things():
    assert set(THEME["light"]) == set(THEME["dark"])
    assert (len(THEME["chartSequentialColors"]), len(THEME["chartDivergingColors"])) == (10, 10)
