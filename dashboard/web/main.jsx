// The dashboard: who is looking, the menu, and one page at a time.
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '@preact/signals';
import { ask, enter, leave, may, me, Problem, reachable, why } from './api.js';
import { Audit } from './audit.jsx';
import { Bans } from './bans.jsx';
import { Client, Clients } from './clients.jsx';
import { Cluster } from './cluster.jsx';
import { theme, turnTheme } from './look.js';
import { follow } from './live.js';
import { Overview } from './overview.jsx';
import { asked, Card, Dialogs, open, ProblemBox, said, shut } from './parts.jsx';
import { Refused } from './refused.jsx';
import { go, route, search, to } from './route.js';
import { Access, Bridges, Broker, Listeners } from './server.jsx';
import { lang, t, turnLang } from './texts.js';
import { Publish, Topics } from './topics.jsx';
import { User, Users } from './users.jsx';

// pages are those of the menu, with the key behind g, and the role that has something to see there.
const pages = [
  ['overview', Overview, 'o'], ['clients', Clients, 'c'], ['topics', Topics, 't'], ['publish', Publish, 'p', 'operator'], ['users', Users, 'u'], ['refused', Refused, 'r', 'operator'],
  ['listeners', Listeners, 'l'], ['bans', Bans, 'b'], ['bridges', Bridges, 'i'], ['cluster', Cluster, 'n'], ['broker', Broker, 'm'], ['tokens', Access, 'a', 'admin'], ['audit', Audit, 'd', 'admin'],
];
const inner = { client: [Client, 'clients'], user: [User, 'users'] };
const shown = () => pages.filter(([, , , role]) => !role || may(role));

// Keyboard: / searches, g and a letter goes to a page, ? shows the keys, Esc leaves a field (a dialog closes by itself).
let going = false;
function pressed(e) {
  const field = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
  if (e.key === 'Escape' && field && !asked.value) e.target.blur();
  if (!me.value || field || asked.value || e.ctrlKey || e.metaKey || e.altKey) return;
  const page = going && shown().find(([, , key]) => key === e.key);
  going = e.key === 'g' && !page;
  if (page) {
    go(page[0]);
  } else if (e.key === '/') {
    search();
  } else if (e.key === '?') {
    open(<Keys />);
  } else {
    return;
  }
  e.preventDefault();
}
addEventListener('keydown', pressed);

const Keys = () => (
  <>
    <h2 id="dialog-title">{t('keys')}</h2>
    <dl class="facts keys">
      <div><dt><kbd>/</kbd></dt><dd>{t('keySearch')}</dd></div>
      {shown().map(([name, , key]) => <div key={name}><dt><kbd>g</kbd> <kbd>{key}</kbd></dt><dd>{t('keyGo')}: {t(name)}</dd></div>)}
      <div><dt><kbd>Esc</kbd></dt><dd>{t('keyEsc')}</dd></div>
      <div><dt><kbd>?</kbd></dt><dd>{t('keyHelp')}</dd></div>
    </dl>
    <div class="buttons"><button type="button" class="primary" onClick={shut}>{t('close')}</button></div>
  </>
);

const Looks = () => (
  <>
    <button type="button" class="plain" id="lang" lang={lang.value === 'zh' ? 'en' : 'zh-CN'} onClick={turnLang}>{t('otherLang')}</button>
    <button type="button" class="plain" id="theme" onClick={turnTheme}>{theme.value === 'dark' ? t('light') : t('dark')}</button>
  </>
);

const Mark = () => <span class="mark"><svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><path d="M4 21V8l3-4 3 4v13M14 21V8l3-4 3 4v13M2 12h20M2 17h20" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" /></svg>Picket</span>;

const Login = () => (
  <main class="login">
    <Mark />
    <Card title={t('loginTitle')}>
      <ProblemBox error={why.value} />
      <p>{t('loginText')}</p>
      <p class="secret"><code>picket ctl login</code></p>
      <p class="quiet small">{t('loginNote')}</p>
    </Card>
    <div class="actions"><Looks /></div>
  </main>
);

function Frame() {
  const { page } = route.value;
  const [unfolded, unfold] = useState(false);
  const at = pages.find(([name]) => name === page);
  const [Shown, under] = at ? [at[1], page] : inner[page] || [Overview, 'overview'];
  useEffect(() => follow(() => { ask('login').catch(() => {}); }, problem => {
    if (problem.status !== 401) return; // the broker stops, and is asked again
    why.value = new Problem(problem);
    me.value = null;
  }), []);
  useEffect(() => {
    unfold(false);
    document.title = `${t(at ? page : under)} – Picket`;
  }, [page, lang.value]);
  return (
    <>
      <a class="skip" href="#title" onClick={e => { e.preventDefault(); document.getElementById('title').focus(); }}>{t('skip')}</a>
      <header class="top">
        <button type="button" class="plain fold" aria-expanded={unfolded} aria-controls="menu" onClick={() => unfold(!unfolded)}>☰ <span>{t('menu')}</span></button>
        <Mark />
        <span class="grow" />
        <Looks />
        <button type="button" class="plain wide" onClick={() => open(<Keys />)} aria-label={t('keys')}>?</button>
        <span class="quiet small wide">{t(me.value.role)}</span>
        <button type="button" class="plain" id="logout" onClick={leave}>{t('logout')}</button>
      </header>
      <nav id="menu" class={unfolded ? 'unfolded' : ''} aria-label={t('dashboard')}>
        {shown().map(([name]) => <a key={name} href={to(name)} aria-current={name === under ? 'page' : undefined} onClick={() => unfold(false)}>{t(name)}</a>)}
      </nav>
      <main>
        {!reachable.value && <div class="notice bad" role="alert">{t('unreachable')}</div>}
        <Shown key={page} />
      </main>
    </>
  );
}

function App() {
  const who = me.value;
  useEffect(() => { if (!who) shut(); }, [who]);
  return (
    <>
      {who === undefined ? null : who ? <Frame /> : <Login />}
      <Dialogs />
      <div class="said" role="status" aria-live="polite">{said.value}</div>
    </>
  );
}

addEventListener('hashchange', () => { if (/^#login=/.test(location.hash)) enter(); });
enter();
render(<App />, document.getElementById('app'));
