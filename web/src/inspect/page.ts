// The report of `headlight inspect`: what stands out, all heads at a glance, and one in full.

import { chosenHead, redrawWhenChosen } from '../heads/chosen';
import { headGrid, roleLegend } from '../heads/grid';
import { links } from '../heads/links';
import { oneHead } from '../heads/one_head';
import { headName } from '../heads/roles';
import * as address from '../shared/address';
import { h } from '../shared/dom';
import { counted, short } from '../shared/number';
import { saveText } from '../shared/save';
import { show } from '../shared/show';
import { table } from '../shared/table';
import { themeButton } from '../shared/theme_button';
import { reportText } from '../study/read';
import type { Maps } from '../study/report';
import { readReport, type InspectReport } from './report';

function opening(report: InspectReport): HTMLElement {
  const heads = report.layers.reduce((sum, layer) => sum + layer.structure.length, 0);
  const tokens = Math.max(...report.layers.map((layer) => layer.queries));
  const read = report.examples === 1 ? `one text of ${counted(tokens, 'token')}`
    : `${counted(report.examples, 'text')} of up to ${counted(tokens, 'token')}`;
  return h('section', { class: 'opening' },
    h('h1', {}, 'What every head does'),
    h('p', { class: 'lead' },
      `${counted(heads, 'head')} in ${counted(report.layers.length, 'layer')}, on ${read}${
        report.weight === 'norm' ? ', weights by norm' : ''}.`),
    h('ul', { class: 'notes' }, ...report.sentences.map((text) => h('li', {}, text))));
}

function heads(report: InspectReport): HTMLElement {
  const { layers } = report;
  const maps = layers.flatMap((layer): Maps[] => (layer.map ? [layer.map] : []));
  const body = h('div', { class: 'heads-body' });
  redrawWhenChosen(body, () => JSON.stringify(chosenHead(layers)), () => {
    const chosen = chosenHead(layers);
    const layer = layers[chosen.layer]!;
    const name = headName(layer, chosen.head);
    const context = report.model;
    return [
      headGrid(layers, maps, chosen, ({ layer: l, head }) =>
        address.write({ head: headName(layers[l]!, head) })),
      roleLegend(layers),
      oneHead(layer, undefined, layer.map, chosen.head, context,
              layer.map ? links(layer.map, chosen.head, name, context) : null),
    ];
  });
  return h('section', { id: 'heads' },
    h('h2', {}, 'The heads'),
    h('p', { class: 'about' }, (maps.length
      ? 'Small maps: the first text; rows are queries, columns are keys. ' : '') +
      'Choose a head to see more of it. Roles are labels for a picture, not findings: each rests ' +
      'on the numbers shown with it.'),
    body);
}

function layersTable(report: InspectReport): HTMLElement {
  const name = (layer: InspectReport['layers'][number]) => `${layer.stack} ${layer.layer}`;
  return h('section', { id: 'layers' },
    h('h2', {}, 'Layer by layer'),
    table('How many different heads each layer has', [
      { head: 'Layer', text: true, show: name, value: name },
      { head: 'Heads', show: (layer) => String(layer.structure.length),
        value: (layer) => layer.structure.length },
      { head: 'Effective heads', about: 'Different patterns among them; 1: all look alike',
        show: (layer) => short(layer.redundancy?.effective_heads),
        value: (layer) => layer.redundancy?.effective_heads },
      { head: 'Groups', about: 'Clusters of heads that look at the same tokens',
        show: (layer) => String(new Set(layer.redundancy?.clusters ?? []).size),
        value: (layer) => new Set(layer.redundancy?.clusters ?? []).size },
      { head: 'Hitting time', about: 'Of all heads together: steps from a token to the last one',
        show: (layer) => short(layer.flow?.combined_uniform?.['hitting_mean']),
        value: (layer) => layer.flow?.combined_uniform?.['hitting_mean'] },
      { head: 'Queries', show: (layer) => String(layer.queries), value: (layer) => layer.queries },
      { head: 'Keys', show: (layer) => String(layer.keys), value: (layer) => layer.keys },
    ], report.layers));
}

function ending(report: InspectReport): HTMLElement {
  return h('section', { id: 'notes' },
    h('h2', {}, 'What this shows, and what it does not'),
    h('ul', { class: 'notes' }, ...report.notes.map((note) => h('li', {}, note))),
    h('p', {}, h('button', { type: 'button', onclick: async () =>
      saveText('inspect.json', 'application/json', await reportText()) }, 'Save inspect.json'),
      ' The data of this page, every number of every head included.'));
}

function page(report: InspectReport): HTMLElement[] {
  return [
    h('header', {}, h('span', { class: 'brand' }, 'headlight', h('small', {}, ' inspect')),
      h('span', { class: 'made' }, report.model), themeButton()),
    h('main', {}, opening(report), heads(report), layersTable(report), ending(report)),
  ];
}

show(readReport, page);
