// All numbers of all heads, the least needed first.

import { finite, short } from '../shared/number';
import { table } from '../shared/table';
import { headsOf, type Head, type Importance } from './report';

export function everyHead(found: Importance, one: string): HTMLElement {
  const number = (head: string, name: keyof Head, about: string) => ({
    head, about, show: (row: Head) => short(row[name] as Head['zero']),
    value: (row: Head) => row[name] });
  const rows = headsOf(found).sort((a, b) => (finite(a.zero) ?? 0) - (finite(b.zero) ?? 0));
  return table(`What every ${one} is worth, in nats per label`, [
    { head: one, text: true, show: (row) => row.name, value: (row) => row.name },
    number('taken away', 'zero', 'Loss with zero in its place, less the loss of the whole model'),
    number('low', 'low', '95 % interval over examples'),
    number('high', 'high', '95 % interval over examples'),
    number('at its mean', 'mean', 'The same with its mean output in its place'),
    number('gate', 'gate', 'Mean over examples of the size of the gate’s gradient'),
    number('gate, signed', 'signed', 'Gradient of the whole loss by the gate'),
  ], rows, `${one}s`);
}
