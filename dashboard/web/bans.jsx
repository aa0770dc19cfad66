// Who is kept out.
import { ask, may, query, usePoll } from './api.js';
import { number, time } from './format.js';
import { Ago, Ask, Badge, Card, Head, open, Table, Text, Waiting } from './parts.jsx';
import { t } from './texts.js';

const kinds = () => [['address', t('kindAddress')], ['client', t('kindClient')], ['prefix', t('kindPrefix')], ['user', t('kindUser')]];

// lengths are how long something lasts, in seconds.
const lengths = () => [['600', t('tenMinutes')], ['3600', t('oneHour')], ['86400', t('oneDay')], ['', t('forGood')]];

// askBan asks for a ban, which may begin with {kind, value}.
export function askBan(of = {}, done) {
  open(<Ask title={t('addBan')} label={t('addBan')} danger done={done} fields={[
    { name: 'kind', label: t('kind'), options: kinds(), value: of.kind }, { name: 'value', label: t('name'), value: of.value, required: true },
    { name: 'length', label: t('validFor'), options: lengths() }, { name: 'why', label: t('why') }, { name: 'force', label: t('force'), type: 'checkbox' },
  ]} run={async v => {
    const until = v.length ? new Date(Date.now() + v.length * 1000).toISOString() : undefined;
    const made = await ask('bans', { method: 'POST', body: { kind: v.kind, value: v.value, why: v.why || undefined, until, force: v.force || undefined } });
    return t('banned', { n: number(made.disconnected) });
  }} />);
}

export function Bans() {
  const all = usePoll('bans', 3000);
  const lift = b => open(<Ask title={t('lift')} text={t('liftText', { value: b.value })} label={t('lift')} done={all.again}
    run={async () => { await ask(query('ban', { kind: b.kind, value: b.value }), { method: 'DELETE' }); return t('done'); }} />);
  const word = Object.fromEntries(kinds());
  return (
    <>
      <Head title={t('bans')}>{may('operator') && <button type="button" class="primary" onClick={() => askBan({}, all.again)}>{t('addBan')}</button>}</Head>
      <Card>{all.data ? <Table label={t('bans')} rows={all.data.items} keyOf={b => `${b.kind} ${b.value}`} empty={t('noBans')} columns={[
        { label: t('kind'), cell: b => word[b.kind] || b.kind }, { label: t('name'), cell: b => <Text>{b.value}</Text> },
        { label: t('until'), cell: b => (b.until ? time(b.until) : t('forGood')) }, { label: t('why'), cell: b => <><Text>{b.why}</Text> {b.rule && <Badge kind="off">{t('itself')}</Badge>}</> },
        { label: t('since'), cell: b => <Ago at={b.since} /> }, { label: t('hits'), num: true, cell: b => number(b.refused) },
        may('operator') && { label: t('actions'), act: true, cell: b => <button type="button" onClick={() => lift(b)}>{t('lift')}</button> },
      ]} /> : <Waiting error={all.error} />}</Card>
    </>
  );
}
