"""The result of bench/attention.py as a bar chart, readable on light and dark pages."""

from html import escape

# Told apart by colour-blind readers too (Okabe and Ito).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"]
WIDTH, LEFT, BAR, GAP, SCALE_WIDTH = 760, 96, 9, 12, 560

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .quiet { fill: #59636e; } .title { font-weight: 600; font-size: 14px; } line { stroke: #8c959f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } line { stroke: #6e7681; }
  }
"""


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(result):
    """The speed of each as a multiple of PyTorch's where that ran, else of headlight's."""
    panels = {}
    for row in result["rows"]:
        key = (row["direction"], row["dtype"], row["threads"])
        panels.setdefault(key, {}).setdefault(row["shape"], {})[row["implementation"]] = row["fastest_milliseconds"]
    names = list(dict.fromkeys(row["implementation"] for row in result["rows"]))
    base = "PyTorch" if "PyTorch" in names else "headlight"
    parts, y = [], 24
    parts.append(text(8, y, f"Attention: speed as a multiple of {base} (longer is faster)", "title"))
    y += 18
    parts.append(text(8, y, f"{result['machine']}, {result['isa']}; the fastest of interleaved rounds", "quiet"))
    y += 22
    x = 8
    for name, colour in zip(names, COLOURS):
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(text(x + 18, y, name))
        x += 40 + 7 * len(name)
    for (direction, dtype, threads), shapes in panels.items():
        y += 30
        parts.append(text(8, y, f"{direction}, {dtype}, {threads} thread{'s' if threads > 1 else ''}", "title"))
        y += 10
        top = y
        most = max((times[base] / ms for times in shapes.values() if base in times
                    for ms in times.values()), default=1)
        for shape, times in shapes.items():
            if base not in times:
                continue
            parts.append(text(LEFT - 8, y + BAR * len(times) / 2 + 4, shape, anchor="end"))
            for name, colour in zip(names, COLOURS):
                if name not in times:
                    continue
                speed = times[base] / times[name]
                width = speed / most * SCALE_WIDTH
                time = times[name]
                label = f"{speed:.2f}×, " + (f"{time:.3g} ms" if time < 1000 else f"{time / 1000:.2f} s")
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}">'
                             f"<title>{escape(name)}, {shape}: {label}</title></rect>")
                if name == names[0]:
                    parts.append(text(LEFT + width + 6, y + BAR, label, "quiet"))
                y += BAR
            y += GAP
        at_one = LEFT + SCALE_WIDTH / most
        parts.append(f'<line x1="{at_one:.1f}" x2="{at_one:.1f}" y1="{top - 4}" y2="{y - GAP + 4}" stroke-dasharray="3 3"/>')
    y += 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
            f'viewBox="0 0 {WIDTH} {y}" role="img"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n")
