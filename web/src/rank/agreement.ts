// What the gradient of a gate guesses against what the removal really costs.

import * as Plot from '@observablehq/plot';
import { figure } from '../shared/figure';
import { finite, short, signs, type Num } from '../shared/number';
import { grid, plot } from '../shared/plot';
import { palette, seriesColour } from '../shared/theme';
import { told } from './grid';
import { drawable, headsOf, type Report } from './report';

export function agreementTitle(spearman: Num): string {
  const value = finite(spearman);
  if (value === null) return 'Gate gradients beside real removals';
  const how = value >= 0.8 ? 'rank heads much as real removals do'
    : value >= 0.5 ? 'rank heads roughly as real removals do'
      : 'are a poor guess of what removals cost here';
  return `Gate gradients ${how}: rank correlation ${signs(value.toFixed(2))}`;
}

export function agreement(report: Report): HTMLElement {
  const heads = drawable(headsOf(report));
  const stacks = Object.keys(report.ablation_zero);
  return figure({
    subject: report.model,
    name: 'agreement',
    title: agreementTitle(report.spearman_gate_zero),
    reading: 'A dot a head: the mean size of an example’s gate gradient against the nats that ' +
      'its removal adds to the loss' + (stacks.length > 1 ? ', coloured by stack.' : '.'),
    columns: ['head', 'gate_gradient_per_example', 'ablation_zero'],
    rows: () => heads.map((head) => [head.name, head.gate, head.zero]),
    draw: (width) => {
      const colours = palette();
      const colour = (stack: string) => seriesColour(stacks.indexOf(stack), stacks.length);
      return plot(width, {
        height: width < 520 ? 300 : 380, marginLeft: 62, marginBottom: 44, marginTop: 26,
        marginRight: 20,
        x: { label: 'mean |gate gradient| (nats) →', labelArrow: 'none', labelAnchor: 'right',
             labelOffset: 38, ticks: 5, nice: true, tickFormat: (x: number) => short(x) },
        y: { label: '↑ loss added by removal (nats)', labelArrow: 'none', ticks: 5, nice: true,
             tickFormat: (y: number) => short(y) },
        marks: [
          grid('y', 5), Plot.ruleY([0], { stroke: colours.muted }),
          Plot.dot(heads, { x: 'gate', y: 'zero', r: 4, fill: (head) => colour(head.stack),
                            fillOpacity: 0.65, stroke: colours.paper, strokeWidth: 0.7 }),
          ...(stacks.length > 1 ? stacks : []).map((stack, i) => Plot.text([stack], {
            frameAnchor: 'top-left', dx: 10, dy: 16 * i, text: () => `● ${stack}`,
            fill: colour(stack), fontWeight: 600 })),
          Plot.tip(heads, Plot.pointer({ x: 'gate', y: 'zero', fill: colours.paper,
                                         stroke: colours.rule, title: told })),
        ],
      });
    },
  });
}
