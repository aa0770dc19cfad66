// What passes between one client and the broker: the packets as they come, and how many.
import { useEffect, useRef, useState } from 'preact/hooks';
import { lines, query, usePoll } from './api.js';
import { bytes, number, time } from './format.js';
import { Card, Form, ProblemBox, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

const kept = 500; // lines of a trace

// Trace shows the packets of a client while it is wanted.
export function Trace({ id }) {
  const [on, turn] = useState(false);
  const [state, set] = useState({ all: [], error: null });
  const end = useRef(null);
  useEffect(() => {
    if (!on) return undefined;
    set({ all: [], error: null });
    const stop = new AbortController();
    lines(query('trace', { client: id, format: 'text', payload: 256 }), stop.signal, more => set(old => ({ all: [...old.all, ...more].slice(-kept), error: null })))
      .then(() => turn(false), error => {
        if (!error.aborted) set(old => ({ ...old, error }));
        turn(false);
      });
    return () => stop.abort();
  }, [on, id]);
  useEffect(() => { if (end.current) end.current.scrollTop = end.current.scrollHeight; }, [state.all]);
  return (
    <Card title={t('trace')} actions={<>
      <button type="button" id="trace" aria-pressed={on} onClick={() => turn(!on)}>{on ? t('stopTrace') : t('startTrace')}</button>
      <a class="button" href={query('/api/v1/trace', { client: id, format: 'pcapng', for: '30s' })} download={`${id.replace(/[^\w.-]/g, '_') || 'client'}.pcapng`}>{t('capture')}</a>
    </>}>
      <ProblemBox error={state.error} />
      {state.all.length > 0 ? <pre class="payload" id="traced" ref={end} tabIndex="0" aria-label={t('trace')}><bdi>{state.all.join('\n')}</bdi></pre> : <p class="quiet">{on ? t('traceWaits') : t('traceText')}</p>}
    </Card>
  );
}

// Queue shows what is in flight to a client and what waits for it.
export function Queue({ id }) {
  const [after, from] = useState(0);
  useEffect(() => from(0), [id]);
  const part = usePoll(query('client/queue', { id, limit: 50, after: after || undefined }), 3000);
  const states = { queued: t('stateQueued'), sent: t('stateSent'), released: t('stateReleased') };
  return (
    <Card title={t('queue')}>
      {part.data ? <Table label={t('queue')} rows={part.data.items} keyOf={m => m.number} empty={t('noQueue')} columns={[
        { label: t('number'), num: true, cell: m => number(m.number) }, { label: t('topic'), cell: m => (m.topic ? <Text>{m.topic}</Text> : '–') }, { label: t('state'), cell: m => states[m.state] }, { label: t('qos'), num: true, cell: m => m.qos },
        { label: t('size'), num: true, cell: m => bytes(m.size_bytes) },
      ]} /> : <Waiting error={part.error} />}
      {part.data && (after > 0 || part.data.next) && <p class="foot">
        {after > 0 && <button type="button" onClick={() => from(0)}>{t('toStart')}</button>}
        {part.data.next && <button type="button" onClick={() => from(part.data.next)}>{t('more')}</button>}
      </p>}
    </Card>
  );
}

// useRates reads how much passes between a client and the broker; null while nothing is known.
export function useRates(id) {
  const [rates, set] = useState(null);
  useEffect(() => {
    let stop = null;
    const begin = () => {
      if (stop) stop.abort();
      stop = null;
      if (document.hidden) return;
      stop = new AbortController();
      lines(query('rates', { id, every: 2 }), stop.signal, all => set({ id, ...JSON.parse(all[all.length - 1]).items[0] })).catch(() => set(null)); // there may be too many at once
    };
    begin();
    document.addEventListener('visibilitychange', begin);
    return () => {
      document.removeEventListener('visibilitychange', begin);
      if (stop) stop.abort();
    };
  }, [id]);
  return rates && rates.id === id ? rates : null;
}

// Listen subscribes to a filter, and shows what comes, the newest first.
export function Listen() {
  const [filter, to] = useState(null);
  const [state, set] = useState({ all: [], error: null });
  useEffect(() => {
    if (filter === null) return undefined;
    set({ all: [], error: null });
    const stop = new AbortController();
    let n = 0;
    lines(query('messages', { filter }), stop.signal, more => set(old => ({ all: [...more.map(m => ({ ...JSON.parse(m), n: n++ })).reverse(), ...old.all].slice(0, 200), error: null })))
      .then(() => to(null), error => {
        if (!error.aborted) {
          set(old => ({ ...old, error }));
          to(null);
        }
      });
    return () => stop.abort();
  }, [filter]);
  return (
    <Card title={t('subscribe')} actions={filter !== null && <button type="button" id="unsubscribe" onClick={() => to(null)}>{t('stopTrace')}</button>}>
      {filter === null ? <Form label={t('subscribe')} fields={[{ name: 'filter', label: t('filter'), required: true, value: '#' }]} run={async v => v} done={v => to(v.filter)} /> : <p><Text>{filter}</Text></p>}
      <ProblemBox error={state.error} />
      {(filter !== null || state.all.length > 0) && <Table label={t('subscribe')} rows={state.all} keyOf={m => m.n} empty={t('nothingCame')} columns={[
        { label: t('when'), cell: m => time(m.at) }, { label: t('topic'), cell: m => (m.lost ? <b>{t('lostHere', { n: number(m.lost) })}</b> : <Text>{m.topic}</Text>) },
        { label: t('payload'), cell: m => (m.payload === undefined ? m.payload_base64 && <code class="free">{m.payload_base64}</code> : <Text>{m.payload}</Text>) }, { label: t('qos'), num: true, cell: m => m.qos }, { label: t('size'), num: true, cell: m => (m.lost ? '' : bytes(m.payload_bytes)) },
      ]} />}
    </Card>
  );
}
