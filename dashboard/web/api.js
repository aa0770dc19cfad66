// Asks the API of the broker that serves this page. Who is logged in is a signal, and so is whether the broker answers.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { live, watch } from './live.js';
import { lang } from './texts.js';

// me is who is logged in: undefined while that is being asked, null for nobody.
export const me = signal(undefined);
// why is the problem that has ended the login, or kept it from beginning.
export const why = signal(null);
// reachable is false while the broker does not answer.
export const reachable = signal(true);

const ranks = { viewer: 1, operator: 2, admin: 3 };

// may tells whether whoever is logged in has a role, or one that may do more.
export const may = role => !!me.value && ranks[me.value.role] >= ranks[role];

// A request that nobody has caused lately does not keep the login alive.
let touched = Date.now();
for (const kind of ['pointerdown', 'keydown', 'wheel', 'touchstart']) addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
const idle = () => Date.now() - touched > 60000;

// Problem is an answer that says no (RFC 9457), or that there is none.
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail || fields.title);
    Object.assign(this, fields);
  }
}

// query writes parameters; those without a value are left out, and a list is one parameter given several times.
export function query(path, params = {}) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null && one !== '') q.append(name, one);
  }
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}

async function request(url, method, body, signalOf) {
  const headers = { 'Accept-Language': lang.value };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (idle()) headers['Picket-Background'] = 'true';
  let answer;
  try {
    answer = await fetch(url, { method, headers, signal: signalOf, credentials: 'same-origin', cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (e) {
    if (e.name !== 'AbortError') reachable.value = false;
    throw new Problem({ status: 0, aborted: e.name === 'AbortError' });
  }
  reachable.value = true;
  return answer;
}

// ask asks for something below /api/v1/, and returns the answer.
export async function ask(path, { method = 'GET', body, signal: signalOf } = {}) {
  const answer = await request(`/api/v1/${path}`, method, body, signalOf);
  let data = null;
  try {
    data = await answer.json();
  } catch {
    if (answer.ok) throw new Problem({ status: answer.status, title: answer.statusText });
  }
  if (answer.ok) return data;
  const problem = new Problem(data || { status: answer.status, title: answer.statusText });
  if (answer.status === 401) {
    if (me.value) why.value = problem;
    me.value = null;
  }
  throw problem;
}

// lines reads an answer that goes on line by line, and has each called with those that have come together. It ends with the answer, or throws a problem.
export async function lines(path, signalOf, each) {
  const answer = await request(`/api/v1/${path}`, 'GET', undefined, signalOf);
  if (!answer.ok) throw new Problem(await answer.json());
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const all = (rest + value).split('\n');
      rest = all.pop();
      if (all.length > 0) each(all);
    }
  } catch (e) {
    throw new Problem({ status: 0, aborted: signalOf.aborted });
  }
}

// enter follows the link of the address, or finds out who is logged in already.
export async function enter() {
  const code = /^#login=(.+)$/.exec(location.hash);
  if (code) history.replaceState(null, '', '/'); // it is in nobody's history
  try {
    me.value = code ? await ask('login', { method: 'POST', body: { code: code[1] } }) : await ask('login');
  } catch (e) {
    if (code) why.value = e;
    me.value = null;
  }
}

export async function leave() {
  try {
    await ask('login', { method: 'DELETE' });
  } catch { /* it has ended already */ }
  why.value = null;
  me.value = null;
}

// usePoll has something asked for again and again while the page can be seen: {data, error, again}. What is asked for is told apart by
// key; null asks for nothing. on are the kinds of events after which it is asked for at once: while those come it is asked for less often. With 0 it is asked for once, and when the page is looked at again: what leaves a line in the broker's log is not asked for every second.
export function usePoll(key, every, on = '') {
  const [state, set] = useState({ key, data: undefined, error: null });
  const now = useRef(() => {});
  useEffect(() => {
    if (key === null) return undefined;
    let timer;
    let over = false;
    let stop = new AbortController();
    const turn = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      stop.abort();
      stop = new AbortController();
      const { signal: own } = stop;
      let wait = on && live.value ? every * 5 : every;
      try {
        const data = await ask(key, { signal: own });
        if (!over && !own.aborted) set({ key, data, error: null });
      } catch (error) {
        if (error.status === 404) wait = 0; // it is gone
        if (!over && !own.aborted) set(old => ({ key, data: old.key === key ? old.data : undefined, error }));
      }
      if (!over && !own.aborted && wait) timer = setTimeout(turn, wait);
    };
    now.current = turn;
    const seen = () => { if (!document.hidden) turn(); };
    document.addEventListener('visibilitychange', seen);
    const unwatch = on ? watch(on, turn) : () => {};
    turn();
    return () => {
      over = true;
      unwatch();
      clearTimeout(timer);
      stop.abort();
      document.removeEventListener('visibilitychange', seen);
    };
  }, [key, every, on, lang.value]);
  const fits = state.key === key;
  return { data: fits ? state.data : undefined, error: fits ? state.error : null, again: () => now.current() };
}
