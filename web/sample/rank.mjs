// A realistic report of headlight rank without a model: sample(stacks, options).
import { generator, normal } from './patterns.mjs';

// kinds: {self: [6, 12]} for six layers of twelve heads.
export function rankSample(kinds = { self: [6, 12] }, { groupSize = 1, odd = false } = {}) {
  const random = generator(11);
  const places = Object.entries(kinds).flatMap(([stack, [layers, heads]]) =>
    Array.from({ length: layers * heads }, (_, i) =>
      ({ stack, layer: Math.floor(i / heads), head: i % heads })));
  const cost = places.map(() => Math.exp(1.6 * normal(random) - 6) - 0.001);
  const gate = cost.map((value) => Math.abs(value) * Math.exp(0.4 * normal(random)) + 2e-4);
  const nested = (list, value) => {
    const all = {};
    list.forEach((place, i) => {
      const layers = (all[place.stack] ??= []);
      (layers[place.layer] ??= []).push(value(i));
    });
    return all;
  };
  const loss = 2.31;
  const importance = (list, costs, gates, unit) => {
    const order = list.map((_, i) => i).sort((a, b) => gates[a] - gates[b]);
    const cheapest = list.map((_, i) => i).sort((a, b) => costs[a] - costs[b]);
    const curve = (some, worse) => some.reduce((losses, i, k) =>
      [...losses, losses.at(-1) + costs[i] * (1 + worse + 0.03 * k)], [loss]);
    const named = (some) => some.map((i) => ({ stack: list[i].stack, layer: list[i].layer,
                                               [unit]: list[i].head }));
    const free = (losses) => losses.findLastIndex((value) => value <= loss + 0.01);
    const [gateCurve, greedyCurve] = [curve(order, 0.3), curve(cheapest, 0)];
    return {
      gate_gradient: nested(list, (i) => -costs[i]),
      gate_gradient_absolute: nested(list, (i) => Math.abs(costs[i])),
      gate_gradient_per_example: nested(list, (i) => gates[i]),
      gate_gradient_per_example_l2: nested(list, (i) => gates[i]),
      ablation_loss: nested(list, (i) => loss + costs[i]),
      ablation_zero: nested(list, (i) => costs[i]),
      ablation_mean: nested(list, (i) => 0.6 * costs[i]),
      intervals: Object.fromEntries(['gate_gradient_per_example', 'ablation_zero', 'ablation_mean']
        .map((name) => [name, nested(list, (i) =>
          ({ low: 0.7 * costs[i] - 1e-4, high: 1.3 * costs[i] + 1e-4 }))])),
      spearman_gate_zero: 0.87, spearman_gate_mean: 0.79,
      gate_order: named(order), gate_curve: gateCurve, gate_free: free(gateCurve),
      greedy_order: named(cheapest), greedy_curve: greedyCurve, greedy_free: free(greedyCurve),
    };
  };
  const report = {
    schema: 'headlight.rank/1', made: { date: '2026-01-02T03:04:05Z', machine: 'a machine' },
    command: 'headlight rank model/ --data lines.txt --html rank.html', model: 'model/',
    examples: 120, scored_labels: 1840, loss, tolerance_nats: 0.01,
    ...importance(places, cost, gate, 'head'), notes: ['Labels are the next tokens.'],
  };
  if (groupSize > 1) {
    const groups = places.filter((place) => place.head % groupSize === 0)
      .map((place) => ({ ...place, head: place.head / groupSize }));
    const sums = (values) => groups.map((_, g) => values
      .slice(g * groupSize, (g + 1) * groupSize).reduce((a, b) => a + b, 0));
    report.groups = { heads: nested(groups, (g) => Array.from({ length: groupSize }, (_, i) =>
      groups[g].head * groupSize + i)), ...importance(groups, sums(cost), sums(gate), 'group') };
  }
  if (odd) {  // one example, no greedy curve, equal heads, a name that breaks careless pages
    delete report.intervals;
    report.spearman_gate_zero = report.spearman_gate_mean = null;
    report.greedy_order = report.greedy_curve = report.greedy_free = null;
    report.model = '</script><b>model';
    report.ablation_zero = nested(places, () => 0);
    report.notes = [];
  }
  return report;
}
