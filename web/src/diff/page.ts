// The report of `headlight diff`: what changed in a sentence, both models' heads side by side, one
// head in words, and every number.

import { roleLabel, roleWords } from '../heads/roles';
import { choice } from '../shared/choice';
import { h } from '../shared/dom';
import { counted, finite, short } from '../shared/number';
import { show } from '../shared/show';
import { table } from '../shared/table';
import { themeButton } from '../shared/theme_button';
import { matrix } from './matrix';
import { matchOf, nameOf, readReport, roleOf, type ComparedLayer, type Match,
         type Report } from './report';
import { twoGrids, type Chosen } from './two_grids';

function sentence({ counts }: Report): string {
  const parts = [counts.moved ? `${counted(counts.moved, 'head')} moved` : '',
                 counts.died ? `${counts.died} died` : '',
                 counts.appeared ? `${counts.appeared} appeared` : ''].filter(Boolean);
  const rest = `${counted(counts.same, 'head')} stayed the same`;
  return parts.length ? `${parts.join(', ')}; ${rest}` : `Nothing changed: ${rest}`;
}

function measure({ by }: Report): string {
  const pattern = 'the Hellinger distance of what two heads look at';
  const output = '√(1 − CKA) of what they add to the stream';
  if (by === 'pattern') return pattern;
  return by === 'output' ? output : `the root mean square of ${pattern} and ${output}`;
}

function opening(report: Report): HTMLElement {
  const { thresholds } = report;
  return h('section', { class: 'opening' },
    h('h1', {}, 'What changed'),
    h('p', { class: 'lead' }, `${sentence(report)}.` +
      (report.counts.renumbered ? ` ${counted(report.counts.renumbered, 'head')} ` +
        'are found under another number.' : '')),
    h('p', { class: 'about' }, `Over ${counted(report.examples, 'example')} with ` +
      `${counted(report.rows, 'token')}, heads of a layer are matched so that their total ` +
      `squared distance is the least there is. The distance is ${measure(report)}, from 0 to 1. ` +
      `Up to ${thresholds.moved} a head is the same, up to ${thresholds.apart} it moved; beyond ` +
      'that one head died and another appeared. A head that falls silent, with an output below ' +
      `${thresholds.silent} of its layer’s root mean square, died as well.`));
}

// One head in words.
function story(report: Report, { layer: l, side, head }: Chosen): HTMLElement {
  const layer = report.layers[l] as ComparedLayer;
  const match = matchOf(layer, side, head);
  const role = (of: 'a' | 'b', number: number) => {
    const name = roleOf(layer, of, number);
    return `${roleLabel(name)} (${roleWords(name)})`;
  };
  const lines: string[] = [];
  if (match?.a !== null && match?.b !== null && match) {
    lines.push(match.a === match.b ? `Matched with the head of its number: ${match.change}.`
      : `Head ${match.a} of the first model is head ${match.b} of the second: ${match.change}.`);
    lines.push(`Was ${role('a', match.a)}; is ${role('b', match.b)}.`);
  } else {
    lines.push(side === 'a' ? 'This head died: no head of the second model does its work.'
      : 'This head appeared: no head of the first model did its work.');
    lines.push(`Its role: ${role(side, head)}.`);
  }
  if (match && finite(match.distance) !== null) lines.push(numbers(match));
  return h('div', {}, h('h3', {}, `Head ${nameOf(layer, head)} of ${report[side]}`),
           ...lines.map((line) => h('p', {}, line)));
}

function numbers(match: Match): string {
  const interval = match.interval
    ? ` (95 % interval ${short(match.interval.low)} to ${short(match.interval.high)})` : '';
  const next = finite(match.runner_up) === null ? ''
    : ` The next best partner is ${short(match.runner_up)} away.`;
  return `Distance ${short(match.distance)}${interval}: pattern ${short(match.pattern_distance)}, ` +
    `output ${short(match.output_distance)}.${next}`;
}

interface Row {
  layer: ComparedLayer;
  match: Match;
}

function everyNumber(report: Report): HTMLElement {
  const rows: Row[] = report.layers.flatMap((layer) =>
    layer.matches.map((match) => ({ layer, match })));
  const number = (head: string, value: (match: Match) => Match['distance'], about: string) => ({
    head, about, show: ({ match }: Row) => short(value(match)),
    value: ({ match }: Row) => value(match) });
  const role = (side: 'a' | 'b') => ({ layer, match }: Row) => {
    const head = match[side];
    return head === null ? '–' : roleLabel(roleOf(layer, side, head));
  };
  return h('section', {}, h('h2', {}, 'Every head'), table('Matched heads, and how far apart', [
    { head: 'head', text: true, show: ({ layer, match }) => nameOf(layer, match.a),
      value: ({ layer, match }) => nameOf(layer, match.a) },
    { head: 'is now', text: true, show: ({ layer, match }) => nameOf(layer, match.b),
      value: ({ layer, match }) => nameOf(layer, match.b) },
    { head: 'change', text: true, show: ({ match }) => match.change,
      value: ({ match }) => match.change },
    number('distance', (match) => match.distance, 'What the match goes by'),
    number('low', (match) => match.interval?.low, '95 % interval over examples'),
    number('high', (match) => match.interval?.high, '95 % interval over examples'),
    number('pattern', (match) => match.pattern_distance, 'Hellinger distance of the attention'),
    number('output', (match) => match.output_distance, '√(1 − CKA) of what is added to the stream'),
    number('next best', (match) => match.runner_up, 'Distance to the second best partner'),
    { head: 'was', text: true, show: role('a'), value: role('a') },
    { head: 'is', text: true, show: role('b'), value: role('b') },
  ], rows, 'heads'));
}

function firstChanged(report: Report): Chosen {
  let best: Chosen = { layer: 0, side: 'a', head: report.layers[0]?.heads_a[0] ?? 0 };
  let farthest = -1;
  report.layers.forEach((layer, l) => layer.matches.forEach((match) => {
    const distance = finite(match.distance) ?? -1;
    if (match.a === null || distance <= farthest) return;
    farthest = distance;
    best = { layer: l, side: 'a', head: match.a };
  }));
  return best;
}

function heads(report: Report): HTMLElement {
  let chosen = firstChanged(report);
  const told = h('div', { class: 'head', 'aria-live': 'polite' });
  const picture = h('div', {});
  const choose = (next: Chosen) => {
    const layer = chosen.layer;
    chosen = next;
    redraw();
    if (layer !== chosen.layer) drawMatrix();
  };
  const stage = h('div', {});
  const redraw = () => {
    const focused = document.activeElement?.getAttribute('title');
    stage.replaceChildren(twoGrids(report, () => chosen, choose));
    if (focused) {
      [...stage.querySelectorAll<HTMLElement>('.chip')]
        .find((chip) => chip.getAttribute('aria-pressed') === 'true')?.focus();
    }
    told.replaceChildren(story(report, chosen));
  };
  const layers = report.layers.map((layer) => `${layer.stack} ${layer.layer}`);
  const toLayer = (name: string) => {
    const layer = report.layers[layers.indexOf(name)];
    const side = layer?.heads_a.length ? 'a' : 'b';
    choose({ layer: layers.indexOf(name), side, head: layer?.[`heads_${side}`][0] ?? 0 });
  };
  const drawMatrix = () => {
    const drawn = matrix(report.layers[chosen.layer] as ComparedLayer);
    const current = layers[chosen.layer] ?? '';
    picture.replaceChildren(
      ...(layers.length > 1
        ? [h('div', { class: 'choices' }, choice('Layer', layers, current, toLayer))] : []),
      ...(drawn ? [drawn] : []));
  };
  redraw();
  drawMatrix();
  return h('section', {}, h('h2', {}, 'Heads of both, side by side'),
    h('p', { class: 'reading' }, 'The stronger the colour, the farther a head has moved. Letters ' +
      'are roles; † is a head that died, + one that appeared. Choose a head to see its partner.'),
    stage, told, picture);
}

function page(report: Report): HTMLElement[] {
  return [
    h('header', {}, h('span', { class: 'brand' }, 'headlight', h('small', {}, ' diff')),
      h('span', { class: 'made' }, `${report.a} → ${report.b}`), themeButton()),
    h('main', {}, opening(report), heads(report), everyNumber(report),
      report.notes.length ? h('section', {}, h('h2', {}, 'Limits'), h('ul', { class: 'notes' },
        ...report.notes.map((note) => h('li', {}, note)))) : null),
  ];
}

show(readReport, page);
