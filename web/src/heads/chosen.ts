// Which head the reader looks at: kept in the address as head=stack.layer.head.

import * as address from '../shared/address';
import type { Layer } from '../study/report';
import type { Chosen } from './grid';
import { headNumber, rolesOf } from './roles';

export function chosenHead(layers: Layer[]): Chosen {
  const [stack, layer, head] = (address.read('head') ?? '').split('.');
  const index = layers.findIndex((l) => l.stack === stack && l.layer === Number(layer));
  const found = layers[index];
  const place = found?.structure.findIndex((_, i) => headNumber(found, i) === Number(head)) ?? -1;
  return place >= 0 ? { layer: index, head: place } : openingHead(layers);
}

// Unasked, the first head that looks somewhere of its own: those that rest or mix show little.
function openingHead(layers: Layer[]): Chosen {
  const dull = ['sink', 'separator', 'broad', 'mixed', 'undetermined'];
  for (const [layer, { roles }] of layers.entries())
    for (const head of roles.keys())
      if (!dull.includes(rolesOf(layers[layer]!, head)[0]!)) return { layer, head };
  return { layer: 0, head: 0 };
}

// Draws into `body` now and whenever what is chosen has changed, and gives the focus back to what
// had it: redrawing replaces that element.
export function redrawWhenChosen(body: HTMLElement, key: () => string,
                                 content: () => HTMLElement[]): void {
  let shown: string | null = null;
  const draw = () => {
    const now = key();
    if (now === shown) return;
    shown = now;
    const focus = focused(body);
    body.replaceChildren(...content());
    if (focus !== null) refocus(body, focus);
  };
  draw();
  address.onAddress(draw);
}

function focused(body: HTMLElement): string | null {
  const active = document.activeElement;
  if (!active || !body.contains(active)) return null;
  return active.getAttribute('role') === 'radio' ? 'cell' : active.getAttribute('aria-label');
}

function refocus(body: HTMLElement, focus: string): void {
  const target = focus === 'cell' ? body.querySelector('.cell[aria-checked="true"]')
    : body.querySelector(`[aria-label="${CSS.escape(focus)}"]`);
  (target as HTMLElement | null)?.focus({ preventScroll: focus !== 'cell' });
}
