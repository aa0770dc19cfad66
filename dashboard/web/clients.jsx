// Clients and sessions: a list that is asked for part by part, and one of them.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, may, query, usePoll } from './api.js';
import { askBan } from './bans.jsx';
import { bytes, number, span } from './format.js';
import { Address, Ask, Badge, Card, Facts, Head, open, ProblemBox, Table, Text, Waiting } from './parts.jsx';
import { Queue, Trace, useRates } from './streams.jsx';
import { go, replace, route, takeFocus, to } from './route.js';
import { lang, t } from './texts.js';

const views = { connected: {}, all: {}, backlog: { sort: '-queued' }, silent: { sort: '-idle_seconds' }, subs: { sort: '-subscriptions' } };
const fields = { id: 'id^=', user: 'user=', address: 'address=' };
const part = 100;
const every = 3000;

// askDisconnect asks whether a client is to be disconnected.
export function askDisconnect(c, done) {
  open(<Ask title={t('disconnect')} text={<>{t('disconnectText', { id: c.id })}</>} label={t('disconnect')} danger done={done} fields={[
    { name: 'keep', label: t('keepOut'), options: [['', t('notKept')], ['10m', t('tenMinutes')], ['1h', t('oneHour')], ['24h', t('oneDay')]] },
    { name: 'reason', label: t('reason') }, { name: 'session', label: t('alsoSession'), type: 'checkbox' },
  ]} run={async v => {
    await ask(query('client', { id: c.id, keep_out: v.keep, reason: v.reason, session: v.session ? 'delete' : undefined }), { method: 'DELETE' });
    return t('done');
  }} />);
}

const State = ({ of: c }) => (c.connected ? <Badge kind="good">{t('online')}</Badge> : <Badge kind="off">{t('offline')}</Badge>);

// useParts asks for the first part of a list again and again as long as nothing more is wanted, and for further parts when they are.
function useParts(view, by, text) {
  const where = [text && fields[by] + text, view === 'silent' && 'connected=true'].filter(Boolean);
  const of = view === 'connected' ? 'clients' : 'sessions';
  const first = query(of, { limit: part, where, sort: views[view].sort });
  const [more, set] = useState(null);
  const poll = usePoll(first, more ? 0 : every, more ? '' : 'connected disconnected lost');
  const fits = more && more.first === first ? more : null;
  useEffect(() => { if (more && more.first !== first) set(null); }, [first]);
  const data = fits || poll.data;
  const next = async () => {
    const from = fits || { first, ...poll.data };
    try {
      const answer = await ask(query(of, { limit: part, where, cursor: from.next }));
      set({ ...answer, first, items: [...from.items, ...answer.items], examined: from.examined + answer.examined, error: null });
    } catch (error) {
      set({ ...from, error });
    }
  };
  return { data, error: fits ? fits.error : poll.error, next, again: () => { set(null); poll.again(); } };
}

export function Clients() {
  const { view = 'connected', by = 'id', q = '' } = route.value.params;
  const mode = views[view] ? view : 'connected';
  const list = useParts(mode, fields[by] ? by : 'id', q);
  const set = change => replace('clients', { view: mode, by, q, ...change });
  const delayed = useRef(0);
  const field = useRef(null);
  useEffect(() => takeFocus(field.current), []);
  const type = text => {
    clearTimeout(delayed.current);
    delayed.current = setTimeout(() => set({ q: text }), 250);
  };
  const names = { connected: t('viewConnected'), all: t('viewAll'), backlog: t('viewBacklog'), silent: t('viewSilent'), subs: t('viewSubs') };
  const { data } = list;
  return (
    <>
      <Head title={t('clients')} />
      <div class="bar" role="search">
        <select aria-label={t('searchBy')} value={by} onChange={e => set({ by: e.currentTarget.value })}><option value="id">{t('byID')}</option><option value="user">{t('byUser')}</option><option value="address">{t('byAddress')}</option></select>
        <input id="search" ref={field} type="search" aria-label={t('search')} placeholder={by === 'id' ? t('searchClients') : t('search')} value={q} autocomplete="off" autocapitalize="none" spellcheck={false} onInput={e => type(e.currentTarget.value)} />
        <div class="chips">{Object.keys(views).map(v => <button key={v} type="button" class="chip" aria-pressed={v === mode} onClick={() => set({ view: v })}>{names[v]}</button>)}</div>
      </div>
      <ProblemBox error={list.error} />
      {data ? (
        <Card>
          <Table label={t('clients')} rows={data.items} keyOf={c => c.id} empty={q ? t('noClients') : t('noClientsYet')} columns={[
            { label: t('clientID'), cell: c => <a href={to('client', { id: c.id })}><Text>{c.id || '""'}</Text></a> },
            { label: t('state'), cell: c => <State of={c} /> }, { label: t('user'), cell: c => c.user && <Text>{c.user}</Text> }, { label: t('address'), cell: c => c.address && <Address of={c.address} /> },
            { label: t('mqtt'), cell: c => c.mqtt }, { label: t('subscriptions'), num: true, cell: c => number(c.subscriptions) }, { label: t('waiting'), num: true, cell: c => number(c.queued + c.inflight) },
            { label: t('idleFor'), num: true, cell: c => (c.connected ? span(c.idle_seconds) : '–') },
            may('operator') && { label: t('actions'), act: true, cell: c => c.connected && <button type="button" onClick={() => askDisconnect(c, list.again)}>{t('disconnect')}</button> },
          ]} />
          <p class="foot quiet small">
            {t('shown', { n: number(data.items.length), total: number(data.total) })}{data.next && data.items.length < part && ` · ${t('lookedAt', { n: number(data.examined) })}`}
            {data.next && <button type="button" onClick={list.next}>{data.items.length < part ? t('lookFurther') : t('more')}</button>}
          </p>
        </Card>
      ) : !list.error && <Waiting />}
    </>
  );
}

function facts(c, rates) {
  const kept = c.session_expiry_seconds;
  return [
    [t('state'), <State of={c} />], c.user && [t('user'), <Text>{c.user}</Text>], c.address && [t('address'), <Text>{c.address}</Text>], c.listener && [t('listener'), <Text>{c.listener}</Text>],
    c.transport && [t('transport'), c.transport], c.connected && [t('encrypted'), c.tls ? t('yes') : t('no')], c.mqtt && [t('mqtt'), c.mqtt],
    c.connected && [t('idleFor'), span(c.idle_seconds)], c.connected && [t('keepAlive'), c.keep_alive_seconds ? span(c.keep_alive_seconds) : t('offNow')],
    [t('expiry'), kept === 0 ? t('withConnection') : kept >= 0xffffffff ? t('forEver') : span(kept)], [t('will'), c.will ? t('yes') : t('no')],
    [t('inflight'), number(c.inflight)], [t('waiting'), `${number(c.queued)} · ${bytes(c.queued_bytes)}`], c.connected && [t('output'), bytes(c.output_bytes)],
    c.connected && [t('ratesIn'), rates ? t('rates', { n: number(Math.round(rates.messages_in)), bytes: bytes(Math.round(rates.bytes_in)) }) : '–'],
    c.connected && [t('ratesOut'), rates ? t('rates', { n: number(Math.round(rates.messages_out)), bytes: bytes(Math.round(rates.bytes_out)) }) : '–'],
  ];
}

const options = s => [s.no_local && 'No Local', s.retain_as_published && 'Retain As Published', s.retain_handling > 0 && `Retain Handling ${s.retain_handling}`, s.subscription_identifier && `ID ${s.subscription_identifier}`].filter(Boolean).join(', ');

export function Client() {
  const { id = '' } = route.value.params;
  const one = usePoll(`client?id=${encodeURIComponent(id)}`, 2000);
  const rates = useRates(id);
  const subs = usePoll(`client/subscriptions?id=${encodeURIComponent(id)}`, 5000);
  const c = one.data;
  const gone = one.error && one.error.status === 404;
  const end = () => open(<Ask title={t('endSession')} text={t('endSessionText', { id, n: number(c.queued + c.inflight) })} label={t('endSession')} danger done={() => go('clients')}
    run={async () => { await ask(query('session', { id }), { method: 'DELETE' }); return t('done'); }} />);
  return (
    <>
      <Head title={<Text>{id}</Text>}>
        {c && !gone && may('operator') && <>
          {c.connected && <button type="button" onClick={() => askDisconnect(c, one.again)}>{t('disconnect')}</button>}
          <button type="button" onClick={end}>{t('endSession')}</button>
          <button type="button" onClick={() => askBan({ kind: 'client', value: id }, one.again)}>{t('banClient')}</button>
        </>}
      </Head>
      <p><a href={to('clients')}>← {t('backToClients')}</a></p>
      {gone ? <ProblemBox error={one.error} title={t('clientGone')} /> : !c ? <Waiting error={one.error} /> : (
        <>
          <Card><Facts of={facts(c, rates)} /></Card>
          <Card title={t('subscriptions')}>
            {subs.data ? <Table label={t('subscriptions')} rows={subs.data.items} keyOf={s => s.filter} empty={t('noSubs')} columns={[
              { label: t('filter'), cell: s => <Text>{s.filter}</Text> }, { label: t('qos'), num: true, cell: s => s.qos }, { label: t('options'), cell: options },
            ]} /> : <Waiting error={subs.error} />}
          </Card>
          {may('operator') && <><Queue id={id} /><Trace id={id} /></>}
        </>
      )}
    </>
  );
}
