// The types of report.json (schema headlight.study/1). Everything that an older or smaller study
// may leave out is optional.

import type { Num } from '../shared/number';

export interface Report {
  schema: string;
  made: Record<string, string | number | null>;
  command?: string;
  settings: Settings;
  runs: Run[];
  comparisons?: Comparison[];
  summary: Summary[];
  verdict: Record<string, string>;
  notes?: string[];
}

export interface Settings {
  heads: number[];
  seeds: number;
  margin?: number;
  confidence?: number;
  target_accuracy?: number;
  tasks: Task[];
  [name: string]: unknown;
}

export interface Task {
  name: string;
  about?: string;
  note?: string;
  steps: number;
  chance?: Num;
  ceiling?: Num;
  measure?: 'accuracy' | 'nats';
  score?: string | null;  // the task's own measure, as "bleu"
  [name: string]: unknown;
}

export interface CurvePoint {
  step: number;
  train_loss?: Num;
  test_loss?: Num;
  test_accuracy?: Num;
}

export interface Run {
  task: string;
  heads: number;
  seed: number;
  parameters: number;
  steps: number;
  test_loss?: Num;
  test_accuracy?: Num;
  learning_rate?: number;
  steps_to_target?: number | null;
  curve?: CurvePoint[];
  layers?: Layer[];
  untrained_layers?: Layer[];
  maps?: Maps[];
}

export type Numbers = Record<string, Num>;

export interface Layer {
  stack: string;
  layer: number;
  heads?: number[];                       // their numbers, where pruning has left some only
  structure: Numbers[];
  roles: (string[] | string)[];
  redundancy?: {
    bhattacharyya?: Num[][];
    effective_heads?: Num;
    clusters?: number[];
    energy_share?: Num[];
  };
  flow?: { heads: Numbers[]; combined_uniform?: Numbers; combined_output_norm?: Numbers } | null;
}

export interface Maps {
  stack: string;
  layer: number;
  queries: number;
  keys: number;
  rows: number;                           // of the picture: fewer than queries where cells were
  columns: number;                        // pooled, each then the largest weight of its block
  tokens?: string[];
  key_tokens?: string[];                  // cross-attention: queries and keys are different texts
  heads: string[];
  sampled?: boolean;                      // each row is one query of its block
}

export interface Comparison {
  task: string;
  heads: number;
  against: number;
  difference: Num;
  low: Num;
  high: Num;
  margin?: number;
  p?: Num;
  p_holm?: Num;
  verdict: string;
  more_seeds?: number | null;
}

export interface Summary {
  task: string;
  heads: number;
  learning_rate?: number;
  parameters?: number;
  accuracy_mean?: Num;
  accuracy_low?: Num;
  accuracy_high?: Num;
  accuracy_sd?: Num;
  loss_mean?: Num;
  score_mean?: Num;
  score_sd?: Num;
  steps_to_target_mean?: Num;
  reached?: number;
  of?: number;
  milliseconds_per_step?: Num;
  hitting_mean?: Num;
  mixing_published?: Num;
  fidelity_published?: Num;
  fidelity?: Num;
  effective_heads?: Num;
  untrained?: Numbers;
  roles?: Record<string, number>;
}

// The runs that the summary is made of: at several learning rates, each head count's best one.
export function runsOf(report: Report, task: Task): Run[] {
  const rates = new Map(report.summary.filter((row) => row.task === task.name)
    .map((row) => [row.heads, row.learning_rate]));
  return report.runs.filter((run) => run.task === task.name &&
    [undefined, run.learning_rate].includes(rates.get(run.heads)));
}

// Is the task judged by its loss (the user's own text) rather than by accuracy?
export function byLoss(task: Task): boolean {
  return task.measure === 'nats';
}
