// All heads of a model: layers down, heads across; role by colour and letter, attention in small.
// A radio group for the keyboard: arrows move, the chosen head is the only tab stop.

import { h } from '../shared/dom';
import { redrawWithTheme } from '../shared/figure';
import type { Layer, Maps } from '../study/report';
import { canvas, decode } from './map';
import { headName, headNumber, roleColour, roleLabel, roleLetter, roleWords, rolesOf } from './roles';

export interface Chosen {
  layer: number;                          // index into the list of layers
  head: number;
}

export function headGrid(layers: Layer[], maps: Maps[], chosen: Chosen,
                         choose: (chosen: Chosen) => void): HTMLElement {
  const mapsOf = (layer: Layer) =>
    maps.find((m) => m.stack === layer.stack && m.layer === layer.layer);
  const box = h('div', { class: 'head-grid', role: 'radiogroup', 'aria-label': 'Heads, by layer' });
  const draw = () => box.replaceChildren(...layers.map((layer, l) => h('div', { class: 'layer' },
    h('div', { class: 'layer-name' }, `${layer.stack} layer ${layer.layer}`),
    h('div', { class: layer.structure.length > 8 ? 'cells many' : 'cells' },
      ...layer.structure.map((_, head) =>
      cell(layer, head, mapsOf(layer), chosen.layer === l && chosen.head === head,
           () => choose({ layer: l, head })))))));
  draw();
  redrawWithTheme(box, draw);
  box.addEventListener('keydown', (event) => {
    const next = moved(event.key, chosen, layers);
    if (next === null) return;
    event.preventDefault();
    choose(next);
  });
  return box;
}

function cell(layer: Layer, head: number, maps: Maps | undefined, on: boolean,
              choose: () => void): HTMLElement {
  const role = rolesOf(layer, head)[0] ?? 'undetermined';
  const map = maps ? decode(maps, head) : null;
  return h('button', { type: 'button', class: 'cell', role: 'radio', 'aria-checked': String(on),
      tabindex: on ? 0 : -1, 'aria-label': `Head ${headName(layer, head)}, ${roleLabel(role)}`,
      title: `${headName(layer, head)}: ${roleLabel(role)}`, onclick: choose,
      style: `--role:${roleColour(role)}` },
    map ? canvas(map) : h('span', { class: 'no-map' }, roleLetter(role)),
    h('span', { class: 'cell-name' }, h('span', {}, String(headNumber(layer, head))), h('b', {}, roleLetter(role))));
}

function moved(key: string, { layer, head }: Chosen, layers: Layer[]): Chosen | null {
  const size = (l: number) => layers[l]?.structure.length ?? 0;
  if (key === 'ArrowRight') {
    if (head + 1 < size(layer)) return { layer, head: head + 1 };
    return size(layer + 1) ? { layer: layer + 1, head: 0 } : null;
  }
  if (key === 'ArrowLeft') {
    if (head > 0) return { layer, head: head - 1 };
    return size(layer - 1) ? { layer: layer - 1, head: size(layer - 1) - 1 } : null;
  }
  const to = key === 'ArrowDown' ? layer + 1 : key === 'ArrowUp' ? layer - 1 : -1;
  return size(to) ? { layer: to, head: Math.min(head, size(to) - 1) } : null;
}

// The roles that occur, each with its letter, colour, count and meaning.
export function roleLegend(layers: Layer[]): HTMLElement {
  const counts = new Map<string, number>();
  for (const layer of layers) {
    layer.structure.forEach((_, head) => {
      const role = rolesOf(layer, head)[0] ?? 'undetermined';
      counts.set(role, (counts.get(role) ?? 0) + 1);
    });
  }
  const box = h('ul', { class: 'legend' });
  const ordered = [...counts].sort((a, b) => b[1] - a[1]);
  const draw = () => box.replaceChildren(...ordered.map(([role, count]) =>
    h('li', {}, roleChip(role), ` ${count} `, h('span', {}, roleWords(role)))));
  draw();
  redrawWithTheme(box, draw);
  return box;
}

export function roleChip(role: string): HTMLElement {
  return h('span', { class: 'role', style: `--role:${roleColour(role)}` },
    h('b', { 'aria-hidden': 'true' }, roleLetter(role)), roleLabel(role));
}
