// The table of head counts of one task, and the comparisons that the verdict rests on.

import { roleChip } from '../heads/grid';
import { h } from '../shared/dom';
import { redrawWithTheme } from '../shared/figure';
import { finite, NONE, percent, points, probability, short, whole } from '../shared/number';
import { fileName } from '../shared/save';
import { table, type Column } from '../shared/table';
import { byLoss, type Comparison, type Report, type Summary, type Task } from './report';
import { heads } from './titles';

const SCORES: Record<string, string> = {
  bleu: 'BLEU', rougeL: 'ROUGE-L', exact_match: 'Exact match', chrf: 'chrF',
};

export function summaryTable(report: Report, task: Task): HTMLElement {
  const rows = report.summary.filter((row) => row.task === task.name);
  const target = percent(report.settings.target_accuracy ?? 0.95, 0);
  const column = (head: string, key: keyof Summary, show?: Column<Summary>['show'], unit?: string,
                  about?: string): Column<Summary> => ({
    head, unit, about, show, value: (row) => {
      const value = row[key];
      return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
    } });
  const columns: Column<Summary>[] = [
    column('Heads', 'heads', (row) => String(row.heads)),
    ...(Array.isArray(report.settings.rates)
      ? [column('Rate', 'learning_rate', (row) => short(row.learning_rate), 'best of the grid')]
        : []),
    column('Parameters', 'parameters', (row) => whole(row.parameters)),
    ...(task.score ? [column(SCORES[task.score] ?? task.score, 'score_mean',
                             (row) => (finite(row.score_sd) === null ? short(row.score_mean)
                               : two(short(row.score_mean), `± ${short(row.score_sd)}`)), 'percent',
                             'Of what the models write: mean of the seeds, and their standard ' +
                             'deviation beneath')] : []),
    column('Loss', 'loss_mean', (row) => short(row.loss_mean), 'nats',
           'Mean test loss after the last step'),
    ...(byLoss(task) ? [] : [
      column('Accuracy', 'accuracy_mean', accuracy, '%',
             'Mean of the seeds, and its interval beneath'),
      column('Accuracy, low end', 'accuracy_low'), column('Accuracy, high end', 'accuracy_high'),
      column(`Steps to ${target}`, 'steps_to_target_mean', steps, 'mean',
             'First evaluation at or above the target, mean of the seeds that got there')]),
    column('Time', 'milliseconds_per_step', (row) => short(row.milliseconds_per_step), 'ms a step'),
    column('Hitting', 'hitting_mean', chance('hitting_mean'), 'steps',
           'Mean hitting time; untrained beneath'),
    column('Mixing', 'mixing_published', chance('mixing_published'), 'steps, published',
           'Published mixing time; untrained beneath'),
    column('Fidelity', 'fidelity', chance('fidelity'), 'share',
           'Minimax fidelity; untrained beneath'),
    column('Effective heads', 'effective_heads', chance('effective_heads'), 'per layer',
           'How many different heads they work like; untrained beneath'),
    { ...column('Roles', 'roles', roles), text: true },
  ];
  const confidence = percent(report.settings.confidence ?? 0.95, 0);
  const small = byLoss(task) ? ''
    : `the ${confidence} interval of the accuracy, how many seeds got to the target, and `;
  return table(
    `${task.name}: head counts side by side. Small figures: ${small}the same models untrained.`,
    columns, rows, fileName(task.name, 'summary'));
}

function two(main: string, beneath: string): HTMLElement {
  return h('span', { class: 'two' }, main, h('small', {}, beneath));
}

function accuracy(row: Summary): HTMLElement | string {
  const low = finite(row.accuracy_low), high = finite(row.accuracy_high);
  const main = percent(row.accuracy_mean).replace(/\s%/, '');
  if (low === null || high === null) return main;
  const text = (x: number) => percent(x).replace(/\s%/, '');
  return two(main, text(low) === text(high) ? text(low) : `${text(low)} to ${text(high)}`);
}

function steps(row: Summary): HTMLElement | string {
  const reached = row.of === undefined ? '' : `${row.reached ?? 0} of ${row.of}`;
  return two(finite(row.steps_to_target_mean) === null ? NONE : whole(row.steps_to_target_mean),
             reached);
}

function chance(key: 'hitting_mean' | 'mixing_published' | 'fidelity' | 'effective_heads') {
  return (row: Summary) => (row.untrained?.[key] === undefined ? short(row[key])
    : two(short(row[key]), short(row.untrained[key])));
}

function roles(row: Summary): HTMLElement {
  const box = h('span', { class: 'roles' });
  const counts = Object.entries(row.roles ?? {}).sort((a, b) => b[1] - a[1]);
  const draw = () => box.replaceChildren(...counts.map(([role, count]) =>
    h('span', { class: 'role-count' }, roleChip(role), ` ${count}`)));
  draw();
  redrawWithTheme(box, draw);
  return box;
}

export function comparisonTable(report: Report, task: Task): HTMLElement | null {
  const rows = (report.comparisons ?? []).filter((row) => row.task === task.name);
  if (rows.length === 0) return null;
  const loss = byLoss(task);
  const show = loss ? short : points;
  const holm = rows.some((row) => finite(row.p_holm) !== null);
  const margin = report.settings.margin;
  const unit = loss ? 'nats' : 'points';
  const verdict = (row: Comparison) => row.verdict +
    (row.more_seeds ? ` (${whole(row.more_seeds)} more seeds would halve the interval)` : '');
  const box = table(`${task.name}: differences, paired by seed`, [
    { head: 'Pair', text: true, show: (row: Comparison) =>
        `${heads(row.heads)} against ${row.against}`,
      value: (row) => `${row.heads} against ${row.against}` },
    { head: 'Difference', unit, show: (row) => show(row.difference),
      value: (row) => row.difference },
    { head: `${percent(report.settings.confidence ?? 0.95, 0)} interval`, unit,
      show: (row) => `${show(row.low)} to ${show(row.high)}`,
      value: (row) => `${row.low} to ${row.high}` },
    { head: 'p', unit: holm ? 'Holm-corrected' : undefined, show: (row) =>
        probability(holm ? row.p_holm : row.p),
      value: (row) => (holm ? row.p_holm : row.p) },
    { head: 'Verdict', text: true, show: (row) =>
        h('span', { class: `verdict-${row.verdict.replace(/ /g, '-')}` }, verdict(row)),
      value: (row) => row.verdict },
  ], rows);
  return h('details', {}, h('summary', {}, 'How sure: all pairs that were compared'),
    margin === undefined ? null : h('p', { class: 'reading' },
      `A difference inside ± ${loss ? short(margin) : points(margin).replace('+', '')} ${unit} ` +
      'counts as none; the margin was fixed before looking. Resampling draws seeds first, then ' +
      'test items within a seed.'), box);
}
