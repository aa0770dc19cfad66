// What happens in the broker, as it happens: one stream of events, while the page can be seen.
import { signal } from '@preact/signals';

// live tells whether the stream is there; moment is the latest of the figures that come every second.
export const live = signal(false);
export const moment = signal(null);

const kinds = ['connected', 'disconnected', 'refused', 'health', 'lost'];
const watchers = new Set();

// watch has f called when one of some kinds of events comes, "connected lost", but at most once a second. It returns what ends that.
export function watch(of, f) {
  let timer = 0;
  const one = kind => {
    if (!timer && of.split(' ').includes(kind)) timer = setTimeout(() => { timer = 0; f(); }, 1000);
  };
  watchers.add(one);
  return () => {
    watchers.delete(one);
    clearTimeout(timer);
  };
}

// follow reads the stream until what it returns is called. lost is called when the stream has broken or was refused; ended when its end is told, with the problem.
export function follow(lost, ended) {
  let source = null;
  let timer = 0;
  const shut = () => {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
    live.value = false;
  };
  const open = () => {
    clearTimeout(timer);
    if (source || document.hidden) return;
    const own = new EventSource('/api/v1/events');
    source = own;
    own.addEventListener('figures', e => {
      live.value = true;
      moment.value = JSON.parse(e.data);
    });
    for (const kind of kinds) own.addEventListener(kind, () => { for (const one of watchers) one(kind); });
    own.addEventListener('end', e => ended(JSON.parse(e.data)));
    own.addEventListener('error', () => {
      live.value = false;
      if (own.readyState === EventSource.CLOSED && source === own) { // refused: the browser does not try again
        source = null;
        timer = setTimeout(open, 5000);
      }
      lost();
    });
  };
  const seen = () => {
    if (!document.hidden) return open();
    clearTimeout(timer);
    timer = setTimeout(shut, 5000);
    return undefined;
  };
  document.addEventListener('visibilitychange', seen);
  open();
  return () => {
    document.removeEventListener('visibilitychange', seen);
    shut();
  };
}
