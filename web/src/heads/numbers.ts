// The numbers of one head with what they mean in words, beside the same head before training.

import { h } from '../shared/dom';
import { finite, percent, short, whole, type Num } from '../shared/number';
import { table, type Column } from '../shared/table';
import type { Layer, Numbers } from '../study/report';

interface Line {
  name: string;
  words: string;
  value: Num;
  before: Num;
  deviation?: Num;                        // over test sequences
  show: (value: Num) => string;
}

type Definition = [key: string, name: string, words: string, show: (value: Num) => string];

const STRUCTURE: Definition[] = [
  ['effective_keys', 'Effective keys', 'it looks at about this many symbols at once', short],
  ['entropy_relative', 'Relative entropy', '0: always one symbol; 1: evenly over all it may see',
   short],
  ['confidence', 'Confidence', 'weight of its strongest symbol, on average', percent],
  ['distance_mean', 'Mean distance', 'places between the query and what it looks at', short],
  ['self_mass', 'On itself', 'weight on its own place', percent],
  ['previous_mass', 'On the previous', 'weight one place back', percent],
  ['next_mass', 'On the next', 'weight one place ahead', percent],
  ['first_token_mass_several', 'On the first', 'weight on the first symbol where it had a choice',
   percent],
  ['separator_mass', 'On separators', 'weight on separators', percent],
  ['positional_offset', 'Favourite offset', 'where its strongest symbol lies most often', (x) =>
    (finite(x) !== null && (x as number) > 0 ? '+' : '') + whole(x)],
  ['positional_share', 'At that offset', 'share of the queries for which that is so', percent],
  ['induction_score', 'Induction', 'weight on what followed earlier copies of the symbol', percent],
  ['duplicate_score', 'Duplicates', 'weight on earlier copies of the symbol', percent],
  ['monotone', 'In order', 'how often its strongest key moves forward with the query', percent],
  ['coverage', 'Coverage', 'share of the keys that are the strongest for some query', percent],
  ['received_max', 'Most looked at', 'largest share of all attention that one symbol receives',
   percent],
];

const FLOW: Definition[] = [
  ['hitting_mean', 'Hitting time', 'steps from a symbol to the last one, on average over symbols',
   short],
  ['mixing_published', 'Published mixing', 'the paper’s version of it, capped at 100 steps', short],
  ['backward_mixing', 'Backward mixing', 'steps back to the first symbol (total variation ≤ ¼)',
   steps],
  ['fidelity', 'Fidelity', 'best share the worst-placed symbol has of what arrives at the last',
   short],
];

export function headNumbers(layer: Layer, before: Layer | undefined, head: number,
                            name: string): HTMLElement {
  const lines = [
    ...collect(STRUCTURE, layer.structure[head], before?.structure[head]),
    ...collect(FLOW, layer.flow?.heads[head], before?.flow?.heads[head]),
    ...share(layer, before, head),
  ];
  const columns: Column<Line>[] = [
    { head: 'Number', text: true, value: (line) => line.name, show: (line) =>
      h('span', { class: 'two' }, line.name, h('small', {}, line.words)) },
    { head: before ? 'Trained' : 'Value', show: (line) => value(line), value: (line) => line.value },
    { head: 'Untrained', about: 'The same head of the same model before training', show: (line) =>
      line.show(line.before), value: (line) => line.before },
    { head: 'What it says', value: (line) => line.words },
  ];
  const shown = before ? columns : columns.filter((column) => column.head !== 'Untrained');
  return table(`Numbers of ${name}`, shown, lines);
}

function steps(count: Num): string {
  return Number.isInteger(count) ? whole(count) : short(count);
}

function value(line: Line): string | Node {
  const main = line.show(line.value);
  return finite(line.deviation) === null ? main
    : h('span', { class: 'two', title: 'Mean and standard deviation over test sequences' }, main,
        h('small', {}, `± ${short(line.deviation)}`));
}

function collect(definitions: Definition[], now: Numbers | undefined,
                 before: Numbers | undefined): Line[] {
  return definitions.flatMap(([key, name, words, show]) => {
    const value = now?.[key];
    return value === null || value === undefined ? []
      : [{ name, words, show, value, before: before?.[key], deviation: now?.[key + '_deviation'] }];
  });
}

function share(layer: Layer, before: Layer | undefined, head: number): Line[] {
  const value = layer.redundancy?.energy_share?.[head];
  return finite(value) === null ? [] : [{ name: 'Share of output', show: percent, value,
    before: before?.redundancy?.energy_share?.[head],
      words: 'its part of what the layer adds (squared norm)' }];
}
