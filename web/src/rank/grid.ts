// Every head of a stack by layer, its colour by what its removal costs.

import * as Plot from '@observablehq/plot';
import { figure } from '../shared/figure';
import { finite, short, signs } from '../shared/number';
import { FONT, plot } from '../shared/plot';
import { fileName } from '../shared/save';
import { css, mode, palette, rampColour } from '../shared/theme';
import { headsOf, type Head, type Report } from './report';

export function grids(report: Report): HTMLElement[] {
  const heads = headsOf(report);
  const most = Math.max(...heads.map((head) => finite(head.zero) ?? 0), 1e-12);
  return Object.keys(report.ablation_zero)
    .map((stack) => heads.filter((head) => head.stack === stack))
    .filter((some) => some.length > 0)
    .map((some) => grid(report, some, most));
}

function grid(report: Report, heads: Head[], most: number): HTMLElement {
  const stack = heads[0]?.stack ?? '';
  const costly = heads.reduce((a, b) => ((finite(b.zero) ?? 0) > (finite(a.zero) ?? 0) ? b : a));
  return figure({
    subject: report.model,
    name: fileName('heads', stack),
    title: `${costly.name} is needed most: without it the loss grows by ${short(costly.zero)} nats`,
    reading: 'Layers down, heads across. Colour and number: thousandths of nats per label that ' +
      'the loss grows by when the head alone is taken away; below zero it falls.',
    columns: ['stack', 'layer', 'head', 'ablation_zero', 'low', 'high', 'ablation_mean',
              'gate_gradient_per_example', 'gate_gradient'],
    rows: () => heads.map((head) => [head.stack, head.layer, head.head, head.zero, head.low,
                                     head.high, head.mean, head.gate, head.signed]),
    draw: (width) => draw(width, heads, most),
  });
}

// Steps are smaller among cheap heads, which are many.
function strength(head: Head, most: number): number {
  return Math.sqrt(Math.max(0, finite(head.zero) ?? 0) / most);
}

function draw(width: number, heads: Head[], most: number): SVGSVGElement {
  const colours = palette();
  const columns = Math.max(...heads.map((head) => head.head)) + 1;
  const layers = [...new Set(heads.map((head) => head.layer))];
  const marginLeft = 58;
  const cell = Math.min(64, (width - marginLeft) / columns);
  const height = Math.max(22, Math.min(44, cell));
  const thousandths = (head: Head) => {
    const value = finite(head.zero);
    return value === null ? '' : signs((1000 * value).toFixed(most < 0.05 ? 1 : 0));
  };
  const onDark = (head: Head) => (mode() === 'light') === (strength(head, most) > 0.5);
  const written = cell >= 34;
  return plot(Math.min(width, marginLeft + cell * columns), {
    height: height * layers.length + 30, marginLeft, marginTop: 28, marginBottom: 2, marginRight: 0,
    x: { domain: [...Array(columns).keys()], axis: 'top', label: null, tickSize: 0, padding: 0.04,
         ticks: cell < 18 ? [...Array(columns).keys()].filter((h) => h % 4 === 0) : undefined },
    y: { domain: layers, label: null, tickSize: 0, padding: 0.06,
         tickFormat: (layer: number) => `layer ${layer}` },
    marks: [
      Plot.cell(heads, { x: 'head', y: 'layer', rx: 3,
                         fill: (head: Head) => css(rampColour(strength(head, most))) }),
      written ? Plot.text(heads, { x: 'head', y: 'layer', text: thousandths, fontSize: FONT - 2,
        fill: (head: Head) => (onDark(head) ? '#ffffff' : '#14171c') }) : null,
      Plot.tip(heads, Plot.pointer({ x: 'head', y: 'layer', fill: colours.paper,
                                     stroke: colours.rule, title: told })),
    ],
  });
}

export function told(head: Head): string {
  const interval = finite(head.low) === null ? ''
    : ` (95 %: ${short(head.low)} to ${short(head.high)})`;
  return `${head.name}\ntaken away: ${short(head.zero)} nats${interval}\n` +
    `at its mean: ${short(head.mean)}\ngate: ${short(head.gate)}`;
}
