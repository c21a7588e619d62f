// The large attention map of one head: axes, symbols, and a cursor that reads single weights with
// the mouse or the arrow keys.

import { h, svg } from '../shared/dom';
import { figure } from '../shared/figure';
import { percent, signs } from '../shared/number';
import { fileName } from '../shared/save';
import { palette } from '../shared/theme';
import type { Maps } from '../study/report';
import { canvas, decode, weight, type Weights } from './map';

export function largeMap(maps: Maps, head: number, name: string,
                         context: string): HTMLElement | null {
  const map = decode(maps, head);
  if (map === null) return null;
  const readout = h('p', { class: 'readout', 'aria-live': 'polite' }, ' ');
  const frame = figure({
    level: 'h4',
    subject: context,
    name: fileName('attention', name, context),
    title: `Where ${name} looks`,
    reading: 'Row: the query, top to bottom. Column: the key it takes from. Strength of colour: ' +
      'square root of the weight, so that small weights stay visible.' + (pooled(maps)
      ? ` Each cell is the largest weight of a block: ${maps.queries} × ${maps.keys} in all` +
        (maps.sampled ? ', of which each row shows one query.' : '.') : ''),
    columns: ['row', 'column', 'weight'],
    rows: () => Array.from(map.bytes, (_, i) =>
      [Math.floor(i / map.columns), i % map.columns,
       Number(weight(map, Math.floor(i / map.columns), i % map.columns).toFixed(5))]),
    draw: (width) => draw(map, maps, Math.min(width, 560), readout),
  });
  const stage = frame.querySelector('.stage');
  stage?.setAttribute('tabindex', '0');
  stage?.setAttribute('aria-label', `Attention map of ${name}; arrow keys read single weights`);
  stage?.setAttribute('role', 'group');
  stage?.after(readout);
  withKeys(stage as HTMLElement);
  return frame;
}

const STEPS: Record<string, [number, number]> = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

function withKeys(stage: HTMLElement): void {
  stage.addEventListener('keydown', (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    stage.firstElementChild?.dispatchEvent(new CustomEvent('move', { detail: step }));
  });
}

function draw(map: Weights, maps: Maps, width: number, readout: HTMLElement): SVGSVGElement {
  const colours = palette();
  const left = 58, top = 46;
  const side = Math.min((width - left - 6) / map.columns, (560 - top) / map.rows);
  const [w, hgt] = [side * map.columns, side * map.rows];
  const tokens = maps.tokens ?? [];
  const keyTokens = maps.key_tokens ?? tokens;
  const every = Math.max(1, Math.ceil(13 / side));
  const label = (text: string, x: number, y: number, anchor: string, size = 11, turn = '') =>
    svg('text', { x, y, 'text-anchor': anchor, 'font-size': size, fill: colours.muted,
                  transform: turn || null,
                  'dominant-baseline': 'middle' }, text);
  const marks = (count: number, at: (i: number) => SVGElement) =>
    Array.from({ length: Math.ceil(count / every) }, (_, k) => at(k * every));
  const query = (i: number) => Math.floor((i * maps.queries) / map.rows);
  const key = (j: number) => Math.floor((j * maps.keys) / map.columns);
  const symbol = (list: string[], i: number) => clip(list[i] ?? String(i));
  const cursor = svg('g', { 'pointer-events': 'none', visibility: 'hidden' },
    svg('rect', { class: 'row', x: left, width: w, height: side, fill: 'none',
                  stroke: colours.accent, 'stroke-width': 1 }),
    svg('rect', { class: 'column', y: top, width: side, height: hgt, fill: 'none',
                  stroke: colours.accent, 'stroke-width': 1 }));
  const picture = svg('svg', { viewBox: `0 0 ${width} ${top + hgt + 6}`, width,
                               height: top + hgt + 6, class: 'large-map' },
    svg('image', { x: left, y: top, width: w, height: hgt, href: canvas(map).toDataURL(),
                   preserveAspectRatio: 'none',
                   style: 'image-rendering:pixelated' }),
    svg('rect', { x: left, y: top, width: w, height: hgt, fill: 'none', stroke: colours.rule }),
    label('key (looked at) →', left, 9, 'start', 12),
    label('query (looking) ↓', 9, top, 'start', 12, `rotate(90 9 ${top})`),
    ...marks(map.columns, (j) => {
      const x = left + (j + 0.5) * side;
      return label(symbol(keyTokens, key(j)), x, top - 6, 'start', 10,
                   `rotate(-60 ${x} ${top - 6})`);
    }),
    ...marks(map.rows, (i) => label(symbol(tokens, query(i)), left - 6, top + (i + 0.5) * side,
                                    'end', 10)),
    cursor) as SVGSVGElement;
  const [row, column] = cursor.children as unknown as [SVGElement, SVGElement];
  let at: [number, number] = [map.rows - 1, 0];
  const show = (i: number, j: number) => {
    at = [i, j];
    cursor.setAttribute('visibility', 'visible');
    row.setAttribute('y', String(top + i * side));
    column.setAttribute('x', String(left + j * side));
    const named = (list: string[], k: number) => (list[k] === undefined ? '' : ` ‘${list[k]}’`);
    readout.textContent = `Query ${query(i)}${named(tokens, query(i))} gives key ${key(j)}${
      named(keyTokens, key(j))} ${pooled(maps) ? 'and its neighbours at most' : 'a weight of'} ${
      percent(weight(map, i, j))}.`;
  };
  picture.addEventListener('move', (event) => {
    const [di, dj] = (event as CustomEvent<[number, number]>).detail;
    show(Math.max(0, Math.min(map.rows - 1, at[0] + di)),
         Math.max(0, Math.min(map.columns - 1, at[1] + dj)));
  });
  picture.addEventListener('pointermove', (event) => {
    const scale = width / picture.getBoundingClientRect().width;
    const i = Math.floor((event.offsetY * scale - top) / side);
    const j = Math.floor((event.offsetX * scale - left) / side);
    if (i >= 0 && j >= 0 && i < map.rows && j < map.columns) show(i, j);
  });
  return picture;
}

function pooled(maps: Maps): boolean {
  return maps.rows < maps.queries || maps.columns < maps.keys;
}

function clip(text: string): string {
  return signs(text.length > 7 ? text.slice(0, 6) + '…' : text);
}
