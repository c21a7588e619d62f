// What is left of the loss as heads go one after the other.

import * as Plot from '@observablehq/plot';
import { figure } from '../shared/figure';
import { counted, short } from '../shared/number';
import { FONT, grid, plot, spread } from '../shared/plot';
import { palette, seriesColour } from '../shared/theme';
import type { Importance, Place, Report } from './report';

interface Point {
  way: string;
  gone: number;
  loss: number;
  last: string;                           // the head that went
}

interface Unit { one: string; free: number; of: number }

export function curveTitle(tolerance: number, { one, free, of }: Unit): string {
  if (free === 0) return `No ${one} can go for ${short(tolerance)} nats`;
  return `${free} of ${counted(of, one)} can go for ${short(tolerance)} nats`;
}

export function freest(found: Importance, one: string): Unit {
  return { one, free: Math.max(found.gate_free, found.greedy_free ?? 0),
           of: found.gate_order.length };
}

function pointsOf(way: string, losses: number[], order: Place[]): Point[] {
  return losses.map((loss, gone) => {
    const place = order[gone - 1];
    return { way, gone, loss, last: place
      ? `${place.stack}.${place.layer}.${place.head ?? place.group}` : 'none' };
  });
}

export function curve(report: Report, found: Importance, one: string): HTMLElement {
  const points = [
    ...(found.greedy_curve
      ? pointsOf('greedy', found.greedy_curve, found.greedy_order ?? []) : []),
    ...pointsOf('by gate', found.gate_curve, found.gate_order)];
  const ways = [...new Set(points.map((point) => point.way))];
  return figure({
    subject: report.model,
    name: `curve-${one}s`,
    title: curveTitle(report.tolerance_nats, freest(found, one)),
    reading: `Loss in nats per label against how many ${one}s are gone. ` +
      (found.greedy_curve ? 'Greedy: the cheapest goes next, measured anew each time. ' : '') +
      'By gate: in the order of gate gradients, without looking again. ' +
      'Dashed: the loss that is allowed.',
    columns: ['way', `${one}s_gone`, 'loss', `last_${one}`],
    rows: () => points.map((point) => [point.way, point.gone, point.loss, point.last]),
    draw: (width) => draw(width, points, ways, report.loss + report.tolerance_nats, one),
  });
}

function draw(width: number, points: Point[], ways: string[], allowed: number,
              one: string): SVGSVGElement {
  const colours = palette();
  const height = width < 520 ? 300 : 360;
  const margin = { marginTop: 26, marginBottom: 42, marginLeft: 58, marginRight: 74 };
  const colour = (way: string) => seriesColour(ways.indexOf(way), 2);
  const losses = points.map((point) => point.loss);
  const [low, high] = [Math.min(...losses, allowed), Math.max(...losses, allowed)];
  const pad = 0.05 * (high - low || 1);
  const domain = [low - pad, high + pad] as [number, number];
  const inner = height - margin.marginTop - margin.marginBottom;
  const pixel = (loss: number) =>
    margin.marginTop + inner * (1 - (loss - domain[0]) / (domain[1] - domain[0]));
  const most = Math.max(...points.map((point) => point.gone));
  // Where the lines are farthest apart, near their middle: both end at the same loss.
  const ends = ways.map((way) => points.filter((point) => point.way === way).at(-1) as Point);
  const places = spread(ends.map((end) => pixel(end.loss)), FONT + 5, margin.marginTop,
                        height - margin.marginBottom);
  const back = (y: number) =>
    domain[0] + (domain[1] - domain[0]) * (1 - (y - margin.marginTop) / inner);
  const labels = ends.map((end, i) => ({ ...end, at: back(places[i] as number) }));
  return plot(width, {
    height, ...margin,
    x: { label: `${one}s gone →`, labelAnchor: 'right', labelArrow: 'none', domain: [0, most],
         ticks: Math.min(most, width < 520 ? 4 : 8), tickFormat: 'd', labelOffset: 36 },
    y: { label: '↑ loss (nats)', labelArrow: 'none', domain, ticks: 5,
         tickFormat: (y: number) => short(y) },
    marks: [
      grid('y', 5),
      Plot.ruleY([allowed], { stroke: colours.muted, strokeDasharray: '5 4' }),
      Plot.lineY(points, { x: 'gone', y: 'loss', z: 'way', stroke: (d: Point) => colour(d.way),
                           strokeWidth: 2.2, strokeLinejoin: 'round' }),
      Plot.text(labels, { x: () => most, y: 'at', text: 'way', textAnchor: 'start', dx: 10,
                          fill: (d: Point) => colour(d.way), fontWeight: 600 }),
      Plot.tip(points, Plot.pointer({ x: 'gone', y: 'loss', maxRadius: 40, fill: colours.paper,
        stroke: colours.rule, title: (d: Point) =>
          `${d.way}: ${counted(d.gone, one)} gone\nloss ${short(d.loss)}\nlast: ${d.last}` })),
    ],
  });
}
