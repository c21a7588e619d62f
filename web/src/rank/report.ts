// The types of `headlight rank --json` (schema headlight.rank/1), and its heads one by one.

import { reportText } from '../study/read';
import { finite, type Num } from '../shared/number';

export type ByPlace = Record<string, Num[][]>;         // stack: [layer][head]
export interface Range { low: Num; high: Num }
export type Measure = 'ablation_zero' | 'ablation_mean' | 'gate_gradient_per_example' |
  'gate_gradient';

export interface Place {
  stack: string;
  layer: number;
  head?: number;
  group?: number;
}

export interface Importance {
  gate_gradient: ByPlace;
  gate_gradient_per_example: ByPlace;
  ablation_loss: ByPlace;
  ablation_zero: ByPlace;
  ablation_mean: ByPlace;
  intervals?: Record<string, Record<string, Range[][]>>;
  spearman_gate_zero: Num;
  spearman_gate_mean: Num;
  gate_order: Place[];
  gate_curve: number[];
  gate_free: number;
  greedy_order: Place[] | null;
  greedy_curve: number[] | null;
  greedy_free: number | null;
}

export interface Report extends Importance {
  schema: string;
  made: Record<string, string | number | null>;
  command: string;
  model: string;
  examples: number;
  scored_labels: number;
  loss: number;
  tolerance_nats: number;
  groups?: Importance & { heads: Record<string, number[][][]> };
  notes: string[];
}

export async function readReport(): Promise<Report> {
  const report = JSON.parse(await reportText()) as Report;
  if (!report.schema?.startsWith('headlight.rank/')) {
    throw new Error('This page shows reports of headlight rank, and the data in it is ' +
      'something else.');
  }
  return report;
}

export interface Head {
  name: string;                           // self.0.3
  stack: string;
  layer: number;
  head: number;
  gate: Num;
  signed: Num;
  zero: Num;
  low: Num;
  high: Num;
  mean: Num;
}

// One a head or group, encoder first, then by layer.
export function headsOf(found: Importance): Head[] {
  return Object.entries(found.ablation_zero).flatMap(([stack, layers]) =>
    layers.flatMap((heads, layer) => heads.map((zero, head) => {
      const interval = found.intervals?.ablation_zero?.[stack]?.[layer]?.[head];
      const at = (values: ByPlace) => values[stack]?.[layer]?.[head];
      return { name: `${stack}.${layer}.${head}`, stack, layer, head, zero,
               gate: at(found.gate_gradient_per_example), signed: at(found.gate_gradient),
               low: interval?.low, high: interval?.high, mean: at(found.ablation_mean) };
    })));
}

// Those that can be drawn: with a gate and a cost.
export function drawable(heads: Head[]): (Head & { gate: number; zero: number })[] {
  return heads.filter((head): head is Head & { gate: number; zero: number } =>
    finite(head.gate) !== null && finite(head.zero) !== null);
}
