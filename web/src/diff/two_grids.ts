// The heads of both models side by side, layers down: colour is how far a head has moved, the
// letter what it does. A chosen head lights up its partner on the other side.

import { roleLetter } from '../heads/roles';
import { h } from '../shared/dom';
import { redrawWithTheme } from '../shared/figure';
import { finite, short } from '../shared/number';
import { css, rampColour } from '../shared/theme';
import { matchOf, nameOf, roleOf, type ComparedLayer, type Report, type Side } from './report';

export interface Chosen {
  layer: number;                          // index into the list of layers
  side: Side;
  head: number;                           // its number
}

export function twoGrids(report: Report, chosen: () => Chosen,
                         choose: (chosen: Chosen) => void): HTMLElement {
  const box = h('div', { class: 'two-grids' });
  const draw = () => box.replaceChildren(
    h('h3', {}, report.a), h('h3', {}, report.b),
    ...report.layers.flatMap((layer, l) => (['a', 'b'] as const).map((side) =>
      h('div', { class: 'layer' },
        h('div', { class: 'layer-name' }, `${layer.stack} layer ${layer.layer}`),
        h('div', { class: 'chips' }, ...layer[`heads_${side}`].map((head) =>
          cell(layer, { layer: l, side, head }, chosen(), choose)))))));
  draw();
  redrawWithTheme(box, draw);
  return box;
}

function cell(layer: ComparedLayer, own: Chosen, chosen: Chosen,
              choose: (chosen: Chosen) => void): HTMLElement {
  const match = matchOf(layer, own.side, own.head);
  const distance = finite(match?.distance);
  const gone = match?.change === 'died' || match?.change === 'appeared';
  const on = chosen.layer === own.layer && chosen.side === own.side && chosen.head === own.head;
  const other = chosen.side === own.side ? undefined
    : matchOf(layer, chosen.side, chosen.head)?.[own.side];
  const partner = chosen.layer === own.layer && other === own.head;
  const role = roleOf(layer, own.side, own.head);
  const words = `Head ${nameOf(layer, own.head)}, ${role}, ${match?.change ?? 'same'}` +
    (distance === null ? '' : `, distance ${short(distance)}`);
  const shade = Math.min(1, distance ?? 1);
  return h('button', { type: 'button', title: words, 'aria-label': words,
      'aria-pressed': String(on),
      class: ['chip', gone ? 'gone' : '', partner ? 'partner' : ''].filter(Boolean).join(' '),
      style: `--shade:${css(rampColour(shade))};` +
        `--on-shade:var(${shade > 0.4 ? '--paper' : '--ink'})`,
      onclick: () => choose(own) },
    h('span', {}, String(own.head)),
    h('b', {}, match?.change === 'died' ? '†' : match?.change === 'appeared' ? '+'
      : roleLetter(role)));
}
