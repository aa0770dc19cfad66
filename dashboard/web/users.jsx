// Users and what they may do.
import { useState } from 'preact/hooks';
import { ask, may, query, usePoll } from './api.js';
import { Ask, Badge, Card, Empty, Form, Head, Marked, open, Secret, Table, Text, Waiting } from './parts.jsx';
import { route, to } from './route.js';
import { t } from './texts.js';

const filters = () => [['publish', t('actPublish')], ['subscribe', t('actSubscribe')], ['all', t('actAll')]];

function askUser(done) {
  open(<Ask title={t('addUser')} label={t('addUser')} fields={[
    { name: 'name', label: t('name'), required: true }, { name: 'password', label: t('password'), type: 'password', note: t('passwordNote') }, { name: 'client', label: t('onlyClient') }, { name: 'limited', label: t('limited'), type: 'checkbox' },
  ]} run={v => ask('users', { method: 'POST', body: { name: v.name, password: v.password || undefined, client_id: v.client || undefined, limited: v.limited || undefined } })}
    done={made => { done(); if (made.password) open(<Secret text={t('madePassword', { name: made.name })} value={made.password} />); }} />);
}

function May({ user = '' }) {
  const [answer, set] = useState(null);
  return (
    <Card title={t('mayTitle')}>
      <Form label={t('ask')} fields={[
        { name: 'user', label: t('user'), value: user }, { name: 'action', label: t('action'), options: [['publish', t('actPublish')], ['subscribe', t('actSubscribe')], ['receive', t('actReceive')]] },
        { name: 'topic', label: t('topic'), required: true }, { name: 'client_id', label: t('clientID') },
      ]} run={v => ask(query('rules/check', v))} done={set} />
      {answer && (
        <div class={`notice ${answer.allow ? 'good' : 'bad'}`} role="status" id="may-answer">
          <b>{answer.allow ? `● ${t('mayYes')}` : `▲ ${t('mayNo')}`}</b>
          {answer.rule && <p>{t('byRule', { rule: answer.rule })}</p>}
          {!answer.known && <p>{t('unknownUser')}</p>}
          {answer.cause && <p class="small quiet">{answer.cause}</p>}
        </div>
      )}
    </Card>
  );
}

const userState = u => (u.disabled ? <Badge kind="off">{t('disabled')}</Badge> : <Badge kind="good">{t('enabled')}</Badge>);

export function Users() {
  const all = usePoll('users', 0);
  const files = all.data && Object.entries(all.data.files || {}).filter(([, names]) => names.length);
  return (
    <>
      <Head title={t('users')}>{all.data && all.data.rights && may('admin') && <button type="button" class="primary" onClick={() => askUser(all.again)}>{t('addUser')}</button>}</Head>
      {!all.data ? <Waiting error={all.error} /> : (
        <>
          <p class="quiet">{all.data.rights ? t('rightsFile', { path: all.data.rights }) : t('noRightsFile')}</p>
          {all.data.rights && <Card><Table label={t('users')} rows={all.data.items} keyOf={u => u.username} empty={t('noUsers')} columns={[
            { label: t('name'), cell: u => <a href={to('user', { name: u.username })}><Text>{u.username}</Text></a> }, { label: t('state'), cell: userState },
            { label: t('clientID'), cell: u => u.clientid && <Text>{u.clientid}</Text> }, { label: t('roles'), cell: u => <Text>{(u.roles || []).map(r => r.rolename).join(', ')}</Text> },
            { label: t('groups'), cell: u => <Text>{(u.groups || []).map(g => g.groupname).join(', ')}</Text> },
          ]} /></Card>}
          {files.length > 0 && <Card title={t('fileUsers')}><p class="quiet small">{t('fileUsersNote')}</p>{files.map(([path, names]) => <div key={path}><p class="label">{path}</p><ul class="names">{names.map(n => <li key={n}><Text>{n}</Text></li>)}</ul></div>)}</Card>}
        </>
      )}
      <May />
    </>
  );
}

const kinds = { publishClientSend: 'actPublish', publishClientReceive: 'actReceive', subscribeLiteral: 'actSubscribe', subscribePattern: 'actSubscribe', unsubscribeLiteral: 'actSubscribe', unsubscribePattern: 'actSubscribe' };

function rules(u, again) {
  const undo = async r => {
    const action = r.acltype === 'publishClientSend' ? 'publish' : 'subscribe';
    await ask(query('rules', { user: u.username, action, filter: r.topic, allow: r.allow }), { method: 'DELETE' });
    return t('done');
  };
  return <Table label={t('rules')} rows={u.rules} keyOf={r => `${r.acltype} ${r.topic} ${r.allow}`} empty={t('noRules')} columns={[
    { label: t('decision'), cell: r => <Badge kind={r.allow ? 'good' : 'bad'}>{r.allow ? t('allow') : t('deny')}</Badge> }, { label: t('action'), cell: r => (kinds[r.acltype] ? t(kinds[r.acltype]) : r.acltype) }, { label: t('ruleKind'), cell: r => <span class="quiet small">{r.acltype}</span> },
    { label: t('filter'), cell: r => <Text>{r.topic}</Text> },
    may('admin') && { label: t('actions'), act: true, cell: r => /^(publishClientSend|subscribe)/.test(r.acltype) && <button type="button" onClick={() => open(<Ask title={t('remove')} text={<Text>{r.topic}</Text>} label={t('remove')} danger done={again} run={() => undo(r)} />)}>{t('remove')}</button> },
  ]} />;
}

export function User() {
  const { name = '' } = route.value.params;
  const path = query('user', { name });
  const one = usePoll(path, 0);
  const u = one.data;
  const change = async body => { await ask(path, { method: 'PATCH', body }); return t('done'); };
  const actions = () => (
    <>
      <button type="button" onClick={() => open(<Ask title={t('newPassword')} label={t('newPassword')} fields={[{ name: 'password', label: t('password'), type: 'password', required: true }]} run={v => change({ password: v.password })} done={one.again} />)}>{t('newPassword')}</button>
      {u.disabled ? <button type="button" onClick={() => open(<Ask title={t('enable')} text={<Text>{name}</Text>} label={t('enable')} run={() => change({ disabled: false })} done={one.again} />)}>{t('enable')}</button>
        : <button type="button" onClick={() => open(<Ask title={t('disable')} text={t('disableUserText', { name })} label={t('disable')} danger run={() => change({ disabled: true })} done={one.again} />)}>{t('disable')}</button>}
      <button type="button" onClick={() => open(<Ask title={t('remove')} text={t('removeUserText', { name })} label={t('remove')} danger run={async () => { await ask(path, { method: 'DELETE' }); return t('done'); }} done={() => { location.hash = to('users'); }} />)}>{t('remove')}</button>
    </>
  );
  const add = () => open(<Ask title={t('addRule')} label={t('addRule')} done={one.again} fields={[
    { name: 'allow', label: t('decision'), options: [['true', t('allow')], ['false', t('deny')]] }, { name: 'action', label: t('action'), options: filters() }, { name: 'filter', label: t('filter'), required: true },
    { name: 'only', label: t('onlyThis'), type: 'checkbox', when: v => v.allow === 'true' },
  ]} run={async v => { await ask('rules', { method: 'POST', body: { user: name, action: v.action, filter: v.filter, allow: v.allow === 'true', only: (v.allow === 'true' && v.only) || undefined } }); return t('done'); }} />);
  return (
    <>
      <Head title={<Text>{name}</Text>}>{u && !one.error && may('admin') && actions()}</Head>
      <p><a href={to('users')}>← {t('users')}</a></p>
      {!u || one.error ? <Waiting error={one.error} /> : <Card title={t('rules')} actions={may('admin') && <button type="button" onClick={add}>{t('addRule')}</button>}><p>{userState(u)} <span class="quiet">{t('roles')}: <Text>{(u.roles || []).map(r => r.rolename).join(', ') || t('none')}</Text></span></p>{rules(u, one.again)}</Card>}
      <May key={name} user={name} />
    </>
  );
}
