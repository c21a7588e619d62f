// A command line that can be copied.

import { h } from './dom';

export function command(text: string): HTMLElement {
  // Lines break between words only: a break after "--" would be read as two options.
  const words = text.split(' ').flatMap((word, i) => [i ? ' ' : '', h('span', {}, word)]);
  const code = h('code', {}, ...words);
  const button = h('button', { type: 'button', onclick: () => copy(text, code, button) }, 'Copy');
  return h('div', { class: 'command' }, h('pre', { tabindex: 0, 'aria-label': 'Command' }, code),
           button);
}

async function copy(text: string, code: HTMLElement, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {  // not allowed here: select it, so that the keyboard can copy
    getSelection()?.selectAllChildren(code);
    button.textContent = 'Selected';
  }
  setTimeout(() => (button.textContent = 'Copy'), 2000);
}
