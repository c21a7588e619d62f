// The types of `headlight diff --json` (schema headlight.diff/1).

import { reportText } from '../study/read';
import type { Num } from '../shared/number';

export type Change = 'same' | 'moved' | 'died' | 'appeared';
export type Side = 'a' | 'b';

export interface Match {
  a: number | null;                       // numbers of heads, as the models count them
  b: number | null;
  change: Change;
  distance: Num;
  interval: { low: Num; high: Num } | null;
  pattern_distance: Num;
  output_distance: Num;
  runner_up: Num;
}

export interface ComparedLayer {
  stack: string;
  layer: number;
  heads_a: number[];
  heads_b: number[];
  roles_a: (string | null)[];
  roles_b: (string | null)[];
  matches: Match[];
  distance: Num[][];
}

export interface Report {
  schema: string;
  a: string;
  b: string;
  examples: number;
  rows: number;
  by: 'pattern' | 'output' | 'both';
  thresholds: { moved: number; apart: number; silent: number };
  counts: Record<Change | 'renumbered', number>;
  notes: string[];
  layers: ComparedLayer[];
}

export async function readReport(): Promise<Report> {
  const report = JSON.parse(await reportText()) as Report;
  if (!report.schema?.startsWith('headlight.diff/')) {
    throw new Error('This page shows reports of headlight diff, and the data in it is ' +
      'something else.');
  }
  return report;
}

// What happened to a head of one side: its own entry, if it was matched or counted there.
export function matchOf(layer: ComparedLayer, side: Side, number: number): Match | undefined {
  return layer.matches.find((match) => match[side] === number);
}

export function roleOf(layer: ComparedLayer, side: Side, number: number): string {
  const place = layer[`heads_${side}`].indexOf(number);
  return layer[`roles_${side}`][place] ?? 'undetermined';
}

export function nameOf(layer: ComparedLayer, number: number | null): string {
  return number === null ? '–' : `${layer.stack}.${layer.layer}.${number}`;
}
