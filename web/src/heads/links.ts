// Attention as links between the words of a text: what each word, at the left, takes from which
// other, at the right. The thicker the link the larger the weight.

import { svg } from '../shared/dom';
import { figure } from '../shared/figure';
import { percent } from '../shared/number';
import { fileName } from '../shared/save';
import { palette } from '../shared/theme';
import type { Maps } from '../study/report';
import { decode, weight } from './map';

const LONGEST = 48;                       // words that can still be read one below the other
const FAINTEST = 0.04;                    // smaller weights are left out

interface Link {
  query: number;
  key: number;
  weight: number;
}

export function links(maps: Maps, head: number, name: string,
                      context: string): HTMLElement | null {
  const map = decode(maps, head);
  const queries = maps.tokens ?? [];
  const keys = maps.key_tokens ?? queries;
  if (map === null || queries.length !== map.rows || keys.length !== map.columns ||
      Math.max(map.rows, map.columns) > LONGEST) {
    return null;
  }
  const all: Link[] = [];
  for (let query = 0; query < map.rows; ++query) {
    for (let key = 0; key < map.columns; ++key) {
      const w = weight(map, query, key);
      if (w >= FAINTEST) all.push({ query, key, weight: w });
    }
  }
  all.sort((a, b) => a.weight - b.weight);  // strong ones are drawn over faint ones
  return figure({
    level: 'h4',
    subject: context,
    name: fileName('links', name, context),
    title: `What ${name} links`,
    reading: 'Left: the word that looks. Right: what it takes from. Thickness: the weight; those ' +
      `below ${percent(FAINTEST, 0)} are left out. Point at a word to see its links alone.`,
    columns: ['query', 'query_token', 'key', 'key_token', 'weight'],
    rows: () => all.map((l) => [l.query, queries[l.query] ?? '', l.key, keys[l.key] ?? '',
                                Number(l.weight.toFixed(5))]),
    draw: (width) => draw(all, queries, keys, Math.min(width, 520)),
  });
}

function draw(all: Link[], queries: string[], keys: string[], width: number): SVGSVGElement {
  const colours = palette();
  const line = 19, top = 14;
  const height = top + line * Math.max(queries.length, keys.length);
  const [from, to] = [width * 0.34, width * 0.66];
  const y = (i: number) => top + i * line;
  const paths = all.map((l) => svg('path', {
    d: `M${from} ${y(l.query)}C${(from + to) / 2} ${y(l.query)} ${(from + to) / 2} ${y(l.key)} ` +
       `${to} ${y(l.key)}`,
    fill: 'none', stroke: colours.accent, 'stroke-width': 0.5 + 5 * l.weight,
    'stroke-opacity': 0.15 + 0.75 * l.weight }));
  // Links of one word alone, or of all words again.
  const only = (test: ((l: Link) => boolean) | null) => all.forEach((l, i) =>
    paths[i]?.setAttribute('visibility', test === null || test(l) ? 'visible' : 'hidden'));
  const words = (list: string[], x: number, anchor: string, of: (l: Link) => number) =>
    list.map((word, i) => svg('text', {
      x, y: y(i), 'text-anchor': anchor, 'dominant-baseline': 'middle', 'font-size': 12.5,
      fill: colours.ink, style: 'cursor:default',
      onpointerenter: () => only((l) => of(l) === i), onpointerleave: () => only(null) },
      clip(word)));
  return svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'links' },
    ...paths, ...words(queries, from - 8, 'end', (l) => l.query),
    ...words(keys, to + 8, 'start', (l) => l.key)) as SVGSVGElement;
}

function clip(word: string): string {
  return word.length > 18 ? word.slice(0, 17) + '…' : word;
}
