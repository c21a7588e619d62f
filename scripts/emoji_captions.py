#!/usr/bin/env python3
"""Pictures of emoji and their names in English and German, as `headlight train --kind caption` reads them.

    python3 -m venv build/emoji-venv
    build/emoji-venv/bin/pip install -r scripts/emoji-requirements.txt
    build/emoji-venv/bin/python scripts/emoji_captions.py OUT [--font FILE] [--cldr FOLDER]

Pictures come from the colour font of Debian's fonts-noto-color-emoji, names from the annotations in
unicode-cldr-core. OUT gets images/*.png and, for each language, train.en.tsv, valid.en.tsv and
test.en.tsv (.de likewise): an image's path, a tab and its name.

Which part an emoji is in depends on a hash of its English name without skin tones, so that all skin
tones of one emoji are in one part, and so are emoji with the very same picture. About a tenth is
for tests and a twentieth for validation; both languages are split alike.
"""

import argparse
import collections
import hashlib
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
CLDR = Path("/usr/share/unicode/cldr/common")
TEST, VALID = 10, 5  # in a hundred


def fail(message):
    sys.exit(f"emoji_captions: {message}")


def names_in(folder, language):
    """What every emoji is called: by its characters, without the selectors that CLDR leaves away."""
    names = {}
    for part in ("annotations", "annotationsDerived"):
        path = folder / part / f"{language}.xml"
        if not path.is_file():
            fail(f"{path}: is not there; apt-get install unicode-cldr-core, or give --cldr with its "
                 "folder common/")
        try:
            entries = ElementTree.parse(path).iter("annotation")
        except ElementTree.ParseError as problem:
            fail(f"{path}: is not XML: {problem}")
        for entry in entries:
            if entry.get("type") == "tts" and entry.text:
                names[entry.get("cp").replace("\ufe0f", "")] = " ".join(entry.text.split())
    return names


class Font:
    """The pictures of a font by the characters that they stand for."""

    def __init__(self, path):
        try:
            from fontTools.ttLib import TTFont, TTLibError
        except ImportError:
            fail("fontTools is not installed; pip install -r scripts/emoji-requirements.txt")
        if not path.is_file():
            fail(f"{path}: is not there; apt-get install fonts-noto-color-emoji, or give --font")
        try:
            font = TTFont(path)
        except TTLibError as problem:
            fail(f"{path}: is no font: {problem}")
        if "CBDT" not in font:
            fail(f"{path}: has no table CBDT, so it holds no pictures; Debian's "
                 "fonts-noto-color-emoji has one")
        self.glyphs = font.getBestCmap()
        self.bitmaps = font["CBDT"].strikeData[0]
        # A run of glyphs that another one stands for.
        self.ligatures = {}
        for lookup in font["GSUB"].table.LookupList.Lookup if "GSUB" in font else []:
            for table in lookup.SubTable:
                table = getattr(table, "ExtSubTable", table)
                for first, ligatures in getattr(table, "ligatures", {}).items():
                    for one in ligatures:
                        self.ligatures[(first, *one.Component)] = one.LigGlyph

    def picture(self, characters):
        """The PNG of a sequence, or None."""
        run = tuple(self.glyphs.get(ord(one)) for one in characters)
        glyph = run[0] if len(run) == 1 else self.ligatures.get(run)
        bitmap = self.bitmaps.get(glyph) if glyph else None
        data = getattr(bitmap, "imageData", b"")
        return data if data.startswith(b"\x89PNG") else None


def base_name(name):
    """An emoji's name without its skin tones: "person: light skin tone, red hair" and its like."""
    head, _, details = name.partition(": ")
    kept = [detail for detail in details.split(", ") if detail and not detail.endswith("skin tone")]
    return f"{head}: {', '.join(kept)}" if kept else head


def parts_of(pictures, names):
    """train, valid or test for every emoji."""
    bases = {one: base_name(names[one]) for one in pictures}
    # Bases that share a picture go together: to the first one of them, however long the chain.
    together = {base: base for base in bases.values()}

    def first(base):
        while together[base] != base:
            base = together[base]
        return base

    by_picture = collections.defaultdict(set)
    for one, picture in pictures.items():
        by_picture[picture].add(bases[one])
    for same in by_picture.values():
        lowest = min(map(first, same))
        for base in same:
            together[first(base)] = lowest
    parts = {}
    for one, base in bases.items():
        place = int(hashlib.sha256(first(base).encode()).hexdigest(), 16) % 100
        parts[one] = "test" if place < TEST else "valid" if place < TEST + VALID else "train"
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to write; made if needed")
    parser.add_argument("--font", type=Path, default=FONT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--cldr", type=Path, default=CLDR, metavar="FOLDER", help="default: %(default)s")
    options = parser.parse_args()
    names = {language: names_in(options.cldr, language) for language in ("en", "de")}
    font = Font(options.font)
    # "#", "*" and digits are in the font to be parts of keycaps only.
    named = [one for one in sorted(names["en"]) if one in names["de"] and not one.isascii()]
    pictures = {one: picture for one in named if (picture := font.picture(one))}
    if not pictures:
        fail(f"{options.font} has no picture of any emoji that {options.cldr} names")
    parts = parts_of(pictures, names["en"])

    (options.out / "images").mkdir(parents=True, exist_ok=True)
    lines = collections.defaultdict(list)
    for one, picture in pictures.items():
        path = f"images/{'-'.join(f'{ord(c):x}' for c in one)}.png"
        (options.out / path).write_bytes(picture)
        for language in names:
            lines[parts[one], language].append(f"{path}\t{names[language][one]}\n")
    for part in ("train", "valid", "test"):
        for language in names:
            (options.out / f"{part}.{language}.tsv").write_text("".join(lines[part, language]))
        print(f"{part}: {len(lines[part, 'en'])} emoji")


main()
