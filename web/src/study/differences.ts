// Every head count against the smallest one: difference and interval beside the margin that counts
// as none.

import * as Plot from '@observablehq/plot';
import { figure } from '../shared/figure';
import { finite, percent, points, short, type Num } from '../shared/number';
import { FONT, grid, plot } from '../shared/plot';
import { fileName } from '../shared/save';
import { palette, seriesColour } from '../shared/theme';
import { byLoss, type Comparison, type Report, type Task } from './report';
import { differencesTitle, heads } from './titles';

type Drawn = Comparison & { difference: number; low: number; high: number };

export function differences(report: Report, task: Task): HTMLElement | null {
  const counts = report.summary.filter((row) => row.task === task.name).map((row) => row.heads);
  const fewest = Math.min(...counts);
  const rows = (report.comparisons ?? []).filter((row): row is Drawn => row.task === task.name &&
    row.against === fewest && [row.difference, row.low, row.high].every((x) => finite(x) !== null));
  if (rows.length === 0) return null;
  const loss = byLoss(task);
  const margin = rows[0]?.margin ?? report.settings.margin ?? 0;
  const unit = loss ? 'nats' : 'points of accuracy';
  return figure({
    subject: task.name,
    name: fileName(task.name, 'differences'),
    title: differencesTitle(rows, fewest),
    reading: `Difference to ${heads(fewest)} in ${unit}, paired by seed, with its ${
      percent(report.settings.confidence ?? 0.95, 0)} interval. Shaded: ± ${
      loss ? short(margin) : points(margin).replace('+', '')}, which counts as no difference.`,
    columns: ['task', 'heads', 'against', 'difference', 'low', 'high', 'p', 'p_holm', 'verdict'],
    rows: () => rows.map((row) => [row.task, row.heads, row.against, row.difference, row.low,
                                   row.high, row.p,
                                   row.p_holm, row.verdict]),
    draw: (width) => draw(width, rows, counts, margin, loss),
  });
}

function draw(width: number, rows: Drawn[], counts: number[], margin: number,
              loss: boolean): SVGSVGElement {
  const colours = palette();
  const colour = (row: Drawn) => seriesColour(counts.indexOf(row.heads), counts.length);
  const ends = rows.flatMap((row) => [row.low, row.high]);
  const [low, high] = [Math.min(0, -2 * margin, ...ends), Math.max(0, 2 * margin, ...ends)];
  const pad = 0.06 * (high - low);
  const show = (value: Num) => (loss ? short(value) : points(value));
  return plot(width, {
    height: 90 + 46 * rows.length, marginTop: 10, marginBottom: 42, marginLeft: 72, marginRight: 62,
    x: { domain: [low - pad, high + pad], label: loss ? 'difference (nats)' : 'difference (points)',
         labelAnchor: 'center',
         labelArrow: 'none', labelOffset: 38, ticks: 4,
         tickFormat: loss ? undefined : (x: number) => points(x, high - low < 0.04 ? 1 : 0) },
    y: { domain: rows.map((row) => row.heads), label: null, tickSize: 0, type: 'band',
         tickFormat: (count: number) => heads(count) },
    marks: [
      Plot.rectX([margin], { x1: (m: number) => -m, x2: (m: number) => m, fill: colours.rule,
                             fillOpacity: 0.75 }),
      grid('x', 4),
      Plot.ruleX([0], { stroke: colours.muted }),
      Plot.ruleY(rows, { y: 'heads', x1: 'low', x2: 'high', stroke: colour, strokeWidth: 2.5 }),
      Plot.dot(rows, { y: 'heads', x: 'difference', r: 4.5, fill: colours.paper, stroke: colour,
                       strokeWidth: 2 }),
      Plot.text(rows, { y: 'heads', frameAnchor: 'right', textAnchor: 'start', dx: 8,
                        fontSize: FONT,
                        text: (row: Drawn) => show(row.difference) }),
    ],
  });
}
