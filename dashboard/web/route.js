// Where in the dashboard one is: #/page?parameters.
import { signal } from '@preact/signals';
import { query } from './api.js';

function read() {
  const [page, rest] = location.hash.replace(/^#\/?/, '').split('?', 2);
  return { page: page || 'overview', params: Object.fromEntries(new URLSearchParams(rest || '')) };
}

export const route = signal(read());
addEventListener('hashchange', () => { route.value = read(); });

export const to = (page, params) => `#/${query(page, params)}`;
export const go = (page, params) => { location.hash = to(page, params); };
// replace changes the parameters without a step of the browser's history.
export function replace(page, params) {
  history.replaceState(null, '', to(page, params));
  route.value = read();
}

// search goes to the field that searches, which takes the focus also when its page has still to come.
let wanted = false;
export function search() {
  const at = document.getElementById('search');
  if (at) {
    at.focus();
    return;
  }
  wanted = true;
  go('clients');
}
export function takeFocus(field) {
  if (wanted && field) field.focus();
  wanted = false;
}
