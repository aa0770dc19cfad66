// Listeners and certificates, bridges, maintenance, and who may look at all this.
import { useState } from 'preact/hooks';
import { ask, may, me, query, usePoll } from './api.js';
import { bytes, number, time } from './format.js';
import { Ago, Ask, Badge, Card, Facts, Form, Head, Need, open, say, Secret, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

function Certificate({ of: c }) {
  if (!c) return <span class="quiet">{t('noCert')}</span>;
  if (c.error) return <Badge kind="bad">{c.error}</Badge>;
  return <details><summary><Badge kind={c.days_left < 0 ? 'bad' : c.days_left < 14 ? 'warn' : 'good'}>{t('daysLeft', { n: number(c.days_left) })}</Badge></summary><Facts of={[[t('names'), <Text>{c.names.join(', ')}</Text>], [t('issuer'), <Text>{c.issuer}</Text>], [t('validUntil'), time(c.not_after)]]} /></details>;
}

export function Listeners() {
  const all = usePoll('listeners', 5000);
  const who = { true: t('anonymousTrue'), local: t('anonymousLocal'), false: t('anonymousFalse') };
  return (
    <>
      <Head title={t('listeners')} />
      <Card>{all.data ? <Table label={t('listeners')} rows={all.data.listeners} empty={t('none')} columns={[
        { label: t('address'), cell: l => <Text>{l.path || (l.addresses || []).join(', ') || `${l.address || '*'}:${l.port}`}</Text> }, { label: t('protocol'), cell: l => `${l.protocol}${l.tls ? ' + TLS' : ''}` },
        { label: t('connections'), num: true, cell: l => number(l.connections) + (l.max_connections > 0 ? ` / ${number(l.max_connections)}` : '') }, { label: t('anonymous'), cell: l => who[l.anonymous] || l.anonymous },
        { label: t('clientCerts'), cell: l => (l.mtls ? t('yes') : t('no')) }, { label: t('certificate'), cell: l => <Certificate of={l.certificate} /> },
      ]} /> : <Waiting error={all.error} />}</Card>
    </>
  );
}

export function Bridges() {
  const all = usePoll('status', 3000);
  return (
    <>
      <Head title={t('bridges')} />
      <Card>{all.data ? <Table label={t('bridges')} rows={all.data.bridges || []} keyOf={b => b.name} empty={t('noBridges')} columns={[
        { label: t('name'), cell: b => <Text>{b.name}</Text> }, { label: t('remote'), cell: b => <Text>{b.address || b.addresses.join(', ')}</Text> },
        { label: t('state'), cell: b => <>{b.connected ? <Badge kind="good">{t('online')}</Badge> : <Badge kind="bad">{t('offline')}</Badge>} <span class="quiet small"><Ago at={b.since} /></span>{b.text && <p class="small"><Text>{b.text}</Text></p>}</> },
        { label: t('messagesIn'), num: true, cell: b => number(b.in) }, { label: t('messagesOut'), num: true, cell: b => number(b.out) }, { label: t('waiting'), num: true, cell: b => `${number(b.waiting)} · ${bytes(b.bytes)}` },
      ]} /> : <Waiting error={all.error} />}</Card>
    </>
  );
}

function Maintenance({ status: s, again }) {
  const m = s.maintenance;
  if (m) {
    return <><div class="notice warn"><b>■ {t('inMaintenance')}</b><p>{t('since')}: {time(m.since)}{m.message && <> · <Text>{m.message}</Text></>}</p></div>
      <Need role="operator" quiet><Form label={t('end')} run={() => ask('maintenance', { method: 'DELETE' })} done={() => { say(t('done')); again(); }} /></Need></>;
  }
  const begin = v => open(<Ask title={t('begin')} text={t('beginText', { n: number(s.clients) })} label={t('begin')} danger done={again} run={async () => {
    await ask('maintenance', { method: 'PUT', body: { message: v.message || undefined, grace_seconds: Number(v.grace) || 0, except_local: v.local } });
    return t('done');
  }} />);
  return <><p class="quiet">{t('maintenanceText')}</p><Need role="operator"><Form label={`${t('begin')} …`} fields={[{ name: 'message', label: t('message') }, { name: 'grace', label: t('grace'), type: 'number', min: 0, max: 86400, value: '30' }, { name: 'local', label: t('exceptLocal'), type: 'checkbox' }]} run={async v => v} done={begin} /></Need></>;
}

function Backup() {
  const [keys, set] = useState(false);
  return <><p class="quiet">{t('backupText')}</p><Need role="admin"><label class="check"><input type="checkbox" checked={keys} onChange={e => set(e.currentTarget.checked)} />{t('withKeys')}</label><div class="buttons"><a class="button" href={keys ? '/api/v1/backup?keys=true' : '/api/v1/backup'} download="picket-backup.tar">{t('backup')}</a></div></Need></>;
}

export function Broker() {
  const all = usePoll('status', 3000);
  return (
    <>
      <Head title={t('broker')} />
      {all.data ? (
        <div class="halves">
          <Card title={t('maintenanceTitle')}><Maintenance key={String(!!all.data.maintenance)} status={all.data} again={all.again} /></Card>
          <div>
            <Card title={t('reloadTitle')}><p class="quiet">{t('reloadText')}</p>{all.data.config && <p><code>{all.data.config}</code></p>}<Need role="operator"><Form label={t('reload')} run={() => ask('reload', { method: 'POST' })} done={() => say(t('reloaded'))} /></Need></Card>
            <Card title={t('backupTitle')}><Backup /></Card>
          </div>
        </div>
      ) : <Waiting error={all.error} />}
    </>
  );
}

function Tokens() {
  const all = usePoll('tokens', 0);
  const make = () => open(<Ask title={t('addToken')} label={t('addToken')} fields={[
    { name: 'name', label: t('name'), required: true }, { name: 'role', label: t('role'), options: ['metrics', 'viewer', 'operator', 'admin'].map(r => [r, t(r)]) },
    { name: 'length', label: t('validFor'), options: [['2592000', t('month')], ['7776000', t('quarter')], ['31536000', t('year')], ['', t('forGood')]] },
  ]} run={v => ask('tokens', { method: 'POST', body: { name: v.name, role: v.role, expires_seconds: Number(v.length) || undefined } })}
    done={made => { all.again(); open(<Secret text={t('madeToken', { name: made.name })} value={made.token} />); }} />);
  const remove = name => open(<Ask title={t('remove')} text={t('removeTokenText', { name })} label={t('remove')} danger done={all.again} run={async () => { await ask(query('token', { name }), { method: 'DELETE' }); return t('done'); }} />);
  return (
    <Card title={t('tokensTitle')} actions={<button type="button" onClick={make}>{t('addToken')}</button>}>
      {all.data ? <Table label={t('tokensTitle')} rows={all.data.items} keyOf={k => k.name} empty={t('noTokens')} columns={[
        { label: t('name'), cell: k => <Text>{k.name}</Text> }, { label: t('role'), cell: k => t(k.role) }, { label: t('made'), cell: k => time(k.made) }, { label: t('validUntil'), cell: k => (k.expires ? time(k.expires) : t('forGood')) },
        { label: t('actions'), act: true, cell: k => <button type="button" onClick={() => remove(k.name)}>{t('remove')}</button> },
      ]} /> : <Waiting error={all.error} />}
    </Card>
  );
}

function Logins() {
  const all = usePoll('logins', 0);
  const end = () => open(<Ask title={t('endLogins')} text={t('endLoginsText')} label={t('endLogins')} danger done={() => { me.value = null; }} run={() => ask('logins', { method: 'DELETE' })} />);
  return (
    <Card title={t('loginsTitle')} actions={<button type="button" onClick={end}>{t('endLogins')}</button>}>
      {all.data ? <Table label={t('loginsTitle')} rows={all.data.items} empty={t('none')} columns={[
        { label: t('name'), cell: s => <Text>{s.name}</Text> }, { label: t('role'), cell: s => t(s.role) }, { label: t('address'), cell: s => <Text>{s.address}</Text> }, { label: t('since'), cell: s => <Ago at={s.since} /> }, { label: t('lastUsed'), cell: s => <Ago at={s.used} /> }, { label: t('until'), cell: s => time(s.until) },
      ]} /> : <Waiting error={all.error} />}
    </Card>
  );
}

export const Access = () => <><Head title={t('tokens')} /><Need role="admin"><Tokens /><Logins /></Need></>;
