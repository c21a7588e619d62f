// How far every head of one model is from every head of the other, within a layer.

import * as Plot from '@observablehq/plot';
import { figure } from '../shared/figure';
import { finite, short } from '../shared/number';
import { plot } from '../shared/plot';
import { fileName } from '../shared/save';
import { css, palette, rampColour } from '../shared/theme';
import type { ComparedLayer } from './report';

export function matrix(layer: ComparedLayer): HTMLElement | null {
  if (layer.distance.length === 0 || layer.heads_b.length === 0) return null;
  const cells = layer.heads_a.flatMap((a, y) => layer.heads_b.map((b, x) =>
    ({ a, b, x, y, value: finite(layer.distance[y]?.[x]) })));
  const pairs = cells.filter((cell) =>
    layer.matches.some((match) => match.a === cell.a && match.b === cell.b));
  const name = `${layer.stack} layer ${layer.layer}`;
  return figure({
    level: 'h4',
    subject: name,
    name: fileName('distances', layer.stack, layer.layer),
    title: `Every pair of heads of ${name}`,
    reading: 'Rows: heads of the first model; columns: heads of the second. A strong colour is ' +
      'near: a head that kept its work is one strong cell in its row. Frames: the matches.',
    columns: ['first', 'second', 'distance'],
    rows: () => cells.map((cell) => [cell.a, cell.b, cell.value]),
    draw: (width) => {
      const colours = palette();
      const margin = 34;
      const room = Math.min((width - margin - 4) / layer.heads_b.length, 44);
      const axis = (heads: number[]) => ({
        domain: [0, heads.length], ticks: heads.map((_, i) => i + 0.5), tickSize: 0, label: null,
        tickFormat: (t: number) => String(heads[Math.floor(t)]) });
      return plot(margin + 4 + room * layer.heads_b.length, {
        height: margin + 4 + room * layer.heads_a.length,
        marginTop: margin, marginLeft: margin, marginRight: 4, marginBottom: 4,
        x: { ...axis(layer.heads_b), axis: 'top' },
        y: { ...axis(layer.heads_a), reverse: true },
        marks: [
          Plot.rect(cells, { x1: 'x', x2: (c) => c.x + 1, y1: 'y', y2: (c) => c.y + 1,
            fill: (c) => (c.value === null ? colours.paper : css(rampColour(1 - c.value))),
            title: (c) => `${c.a} and ${c.b}: ${short(c.value)}` }),
          room > 27 ? Plot.text(cells, { x: (c) => c.x + 0.5, y: (c) => c.y + 0.5, fontSize: 10.5,
            text: (c) => (c.value === null ? '' : c.value.toFixed(2)), pointerEvents: 'none',
            fill: (c) => ((c.value ?? 1) < 0.6 ? colours.paper : colours.ink) }) : null,
          Plot.rect(pairs, { x1: 'x', x2: (c) => c.x + 1, y1: 'y', y2: (c) => c.y + 1,
            fill: 'none', stroke: colours.accent, strokeWidth: 2 }),
        ],
      });
    },
  });
}
