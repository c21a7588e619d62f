// The report of `headlight rank`: what can go, what every head is worth, how well gates guess it.

import { command } from '../shared/command';
import { day } from '../shared/day';
import { h } from '../shared/dom';
import { counted, short } from '../shared/number';
import { saveText } from '../shared/save';
import { show } from '../shared/show';
import { themeButton } from '../shared/theme_button';
import { reportText } from '../study/read';
import { agreement } from './agreement';
import { curve, curveTitle, freest } from './curve';
import { everyHead } from './every_head';
import { grids } from './grid';
import { readReport, type Report } from './report';

function opening(report: Report): HTMLElement {
  const most = report.groups ? freest(report.groups, 'group') : freest(report, 'head');
  return h('section', { class: 'opening' },
    h('h1', {}, curveTitle(report.tolerance_nats, most)),
    h('p', { class: 'lead' }, `${report.model}: loss ${short(report.loss)} nats per label over ` +
      `${counted(report.scored_labels, 'scored label')} of ` +
      `${counted(report.examples, 'example')}.`));
}

function page(report: Report): HTMLElement[] {
  return [
    h('header', {},
      h('span', { class: 'brand' }, 'headlight', h('small', {}, ' rank')),
      h('span', { class: 'made' }, [day(report.made.date), report.made.machine].filter(Boolean)
        .join(' · ')), themeButton()),
    h('main', {}, opening(report),
      h('section', { id: 'heads' }, h('h2', {}, 'What each head is worth'), ...grids(report)),
      h('section', { id: 'budget' }, h('h2', {}, 'How many can go'),
        curve(report, report, 'head'),
        report.groups ? curve(report, report.groups, 'group') : null,
        report.groups ? h('p', { class: 'note' }, 'Heads that share keys and values can only ' +
          'be pruned together: the groups are what a pruned checkpoint can lose.') : null),
      h('section', { id: 'agreement' }, h('h2', {}, 'Guess and removal'), agreement(report)),
      h('section', { id: 'numbers' }, h('h2', {}, 'Every number'), everyHead(report, 'head'),
        report.groups ? everyHead(report.groups, 'group') : null),
      report.notes.length ? h('section', { id: 'notes' }, h('h2', {}, 'Notes'),
        h('ul', { class: 'notes' }, ...report.notes.map((note) => h('li', {}, note)))) : null,
      h('section', { id: 'repeat' }, h('h2', {}, 'Make it again'), command(report.command),
        h('p', {}, h('button', { type: 'button', onclick: async () =>
          saveText('rank.json', 'application/json', await reportText()) }, 'Save rank.json'))))];
}

show(readReport, page);
