// The names that heads get (design section E), with a letter and a colour each. The letter always
// stands beside the colour: thirteen colours cannot all be told apart.

import { mode } from '../shared/theme';
import type { Layer } from '../study/report';

interface Role {
  letter: string;
  light: string;
  dark: string;
  words: string;
}

// Families share a hue: fixed places blue, content orange, resting violet, spread-out green.
const ROLES: Record<string, Role> = {
  induction: { letter: 'I', light: '#b34700', dark: '#ff8a4c',
               words: 'looks at what followed the last copy of the current symbol' },
  duplicate: { letter: 'D', light: '#8f5b00', dark: '#e8a93a',
               words: 'looks at earlier copies of the current symbol' },
  alignment: { letter: 'A', light: '#b34700', dark: '#ff8a4c',
               words: 'follows the other sequence in order' },
  previous: { letter: 'P', light: '#0b5fa5', dark: '#5b9df0',
              words: 'looks at the symbol just before' },
  next: { letter: 'N', light: '#2a7f9e', dark: '#7cc8e6', words: 'looks at the symbol just after' },
  self: { letter: 'S', light: '#4a55b5', dark: '#9aa4f5', words: 'looks at its own place' },
  positional: { letter: 'O', light: '#17607a', dark: '#58b4d1',
                words: 'looks a fixed number of places away' },
  sink: { letter: 'K', light: '#7b3f8c', dark: '#d293e0', words: 'rests on the first symbol' },
  separator: { letter: 'E', light: '#94406a', dark: '#e592bb', words: 'rests on separators' },
  broad: { letter: 'B', light: '#3d7a4a', dark: '#7fc98f',
           words: 'spreads its weight nearly evenly' },
  local: { letter: 'L', light: '#1d7f74', dark: '#55c9bc',
           words: 'stays among the nearest symbols' },
  mixed: { letter: 'M', light: '#6a665f', dark: '#a8a297',
           words: 'follows none of the simple patterns' },
  undetermined: { letter: 'U', light: '#8d8981', dark: '#7d7970',
                  words: 'never had a choice in these sequences' },
};

export function rolesOf(layer: Layer, head: number): string[] {
  const names = layer.roles[head];
  return names === undefined ? ['undetermined'] : typeof names === 'string' ? [names] : names;
}

function base(name: string): string {
  return name.replace(/\(.*$/, '');
}

function offset(name: string): string | null {
  return /\((.*)\)/.exec(name)?.[1]?.replace('-', '−') ?? null;
}

export function roleLetter(name: string): string {
  return offset(name) ?? ROLES[base(name)]?.letter ?? '?';
}

export function roleColour(name: string): string {
  const role = ROLES[base(name)];
  return role ? role[mode()] : mode() === 'dark' ? '#a8a297' : '#6a665f';
}

export function roleWords(name: string): string {
  const k = offset(name);
  if (base(name) === 'positional' && k !== null) {
    const places = k.replace(/^[−+]/, '');
    const way = k.startsWith('−') ? 'back' : 'ahead';
    return `looks ${places} ${places === '1' ? 'place' : 'places'} ${way}`;
  }
  return ROLES[base(name)]?.words ?? '';
}

export function roleLabel(name: string): string {
  return name.replace('-', '−');
}

// Where pruning has left some heads only, they keep their numbers.
export function headNumber(layer: Layer, head: number): number {
  return layer.heads?.[head] ?? head;
}

export function headName(layer: Layer, head: number): string {
  return `${layer.stack}.${layer.layer}.${headNumber(layer, head)}`;
}
