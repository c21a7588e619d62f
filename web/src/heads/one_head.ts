// One head: what it does in a sentence, where it looks, whom it is like, and its numbers.

import { h } from '../shared/dom';
import { redrawWithTheme } from '../shared/figure';
import { short } from '../shared/number';
import type { Layer, Maps } from '../study/report';
import { roleChip } from './grid';
import { largeMap } from './large_map';
import { headNumbers } from './numbers';
import { headName, headNumber, roleLabel, rolesOf, roleWords } from './roles';
import { nearest, similarity } from './similarity';
import { together } from './together';

// `before` is the same layer before training, where that is known; `pictures` stand in front.
export function oneHead(layer: Layer, before: Layer | undefined, map: Maps | undefined,
                        head: number, context: string,
                        ...pictures: (HTMLElement | null)[]): HTMLElement {
  const name = headName(layer, head);
  return h('section', { class: 'head', 'aria-label': `Head ${name}` },
    introduction(layer, head, name),
    h('div', { class: 'head-columns' },
      h('div', {}, ...pictures, map ? largeMap(map, head, name, context) : null,
        similarity(layer, head, context)),
      h('div', {}, headNumbers(layer, before, head, name),
        together(layer, before, `${layer.stack} layer ${layer.layer}`))));
}

function introduction(layer: Layer, head: number, name: string): HTMLElement {
  const roles = rolesOf(layer, head);
  const twin = nearest(layer, head);
  const clusters = layer.redundancy?.clusters;
  const peers = (clusters ?? []).flatMap((cluster, other) =>
    (other !== head && cluster === clusters?.[head] ? [headNumber(layer, other)] : []));
  const chips = h('span', { class: 'roles' });
  const draw = () => chips.replaceChildren(...roles.map(roleChip));
  draw();
  redrawWithTheme(chips, draw);
  const group = peers.length === 0 ? ''
    : ` It shares a group with ${peers.length === 1 ? 'head' : 'heads'} ${peers.join(', ')}.`;
  const role = roles[0] ?? 'undetermined';
  return h('div', {},
    h('h3', { 'aria-live': 'polite' }, `Head ${name} `, chips),
    h('p', { class: 'about' }, `It ${roleWords(role) || `is ${roleLabel(role)}`}.` +
      (twin ? ` Nearest twin: ${headName(layer, twin.head)}, Bhattacharyya ${short(twin.value)}.`
         : '') + group));
}
