// The heads of one run of the reader's choice. What is chosen lives in the address: task, heads,
// seed and head (stack.layer.head).

import { chosenHead, redrawWhenChosen } from '../heads/chosen';
import { headGrid, roleLegend } from '../heads/grid';
import { oneHead } from '../heads/one_head';
import { headName } from '../heads/roles';
import * as address from '../shared/address';
import { choice } from '../shared/choice';
import { h } from '../shared/dom';
import { runsOf, type Layer, type Report, type Run } from './report';

export function headsSection(report: Report): HTMLElement | null {
  const runs = report.settings.tasks.flatMap((task) => runsOf(report, task))
    .filter((run) => run.layers?.length);
  if (runs.length === 0) return null;
  const body = h('div', { class: 'heads-body' });
  redrawWhenChosen(body, () => {
    const run = chosenRun(runs);
    return JSON.stringify([runs.indexOf(run), chosenHead(run.layers as Layer[])]);
  }, () => content(runs, chosenRun(runs)));
  return h('section', { id: 'heads' },
    h('h2', {}, 'What the heads do'),
    h('p', { class: 'about' }, 'Choose a run; then choose a head to see where it looks. ' +
      'Roles are labels for a picture, not findings: each rests on the numbers shown with it.'),
    body);
}

function chosenRun(runs: Run[]): Run {
  const task = address.read('task');
  const heads = Number(address.read('heads'));
  const seed = Number(address.read('seed') ?? NaN);
  const ofTask = runs.filter((run) => run.task === task);
  const pool = ofTask.length ? ofTask : interesting(runs);
  const ofHeads = pool.filter((run) => run.heads === heads);
  const usual = Math.min(4, Math.max(...pool.map((run) => run.heads)));
  const several = ofHeads.length ? ofHeads : pool.filter((run) => run.heads === usual);
  const some = several.length ? several : pool;
  return some.find((run) => run.seed === seed) ?? (some[0] as Run);
}

// Without a choice: the task on which head counts differ most.
function interesting(runs: Run[]): Run[] {
  const range = (task: string) => {
    const values = runs.filter((run) => run.task === task && typeof run.test_accuracy === 'number')
      .map((run) => run.test_accuracy as number);
    return values.length ? Math.max(...values) - Math.min(...values) : 0;
  };
  const tasks = [...new Set(runs.map((run) => run.task))];
  const best = tasks.reduce((a, b) => (range(b) > range(a) + 1e-9 ? b : a));
  return runs.filter((run) => run.task === best);
}

function content(runs: Run[], run: Run): HTMLElement[] {
  const layers = run.layers as Layer[];
  const chosen = chosenHead(layers);
  const layer = layers[chosen.layer] as Layer;
  const before = run.untrained_layers?.find((l) =>
    l.stack === layer.stack && l.layer === layer.layer);
  const unique = <T>(values: T[]) => [...new Set(values)];
  const same = runs.filter((r) => r.task === run.task);
  const context = `${run.task}, ${run.heads} heads, seed ${run.seed}`;
  const pick = (changes: Record<string, string>) => address.write({ at: null, ...changes });
  const map = run.maps?.find((m) => m.stack === layer.stack && m.layer === layer.layer);
  return [
    h('div', { class: 'choices' },
      choice('Task', unique(runs.map((r) => r.task)), run.task, (task) => pick({ task })),
      choice('Heads', unique(same.map((r) => r.heads)), run.heads,
             (heads) => pick({ task: run.task, heads })),
      choice('Seed', unique(same.filter((r) => r.heads === run.heads).map((r) => r.seed)), run.seed,
             (seed) => pick({ task: run.task, heads: String(run.heads), seed }))),
    headGrid(layers, run.maps ?? [], chosen, ({ layer: l, head }) =>
      pick({ task: run.task, heads: String(run.heads), seed: String(run.seed),
             head: headName(layers[l] as Layer, head) })),
    roleLegend(layers),
    h('p', { class: 'reading' }, run.maps
      ? 'Small maps: one test sequence; rows are queries, columns are keys.'
      : 'No attention maps were kept for this run.'),
    oneHead(layer, before, map, chosen.head, context),
  ];
}
