// The phone's page: it takes the steps that an MQTT app takes and says at which one it fails, why, and what to do.
import { texts } from './texts.js';
import { Connection, Failure, patience } from './mqtt.js';
import { draw, numbers, shown } from './chart.js';

const attemptsTopic = '$SYS/broker/picket/attempts';
const steps = ['page', 'socket', 'connect', 'subscribe', 'publish', 'stay'];
const tripEvery = 1000; // ms
const tripLost = 5000;

const $ = id => document.getElementById(id);
const random = () => Math.random().toString(36).slice(2, 8) + Math.random().toString(36).slice(2, 8);
const now = () => (window.performance ? performance.now() : Date.now());

let lang = /^zh\b/i.test(navigator.language || '') ? 'zh' : 'en';
let causes = {}; // by id: title, explain, remedy

// The token is at the end of the page's client identifier, and of the one that people are told to type into their app: by it the broker knows the apps
// of this phone (broker/attempts.go). It stands in the address too, which no request sends, so that the page has it again when it is loaded again.
const token = (/^#([a-z0-9]{6})$/.exec(location.hash) || [])[1] || random().slice(0, 6);
const id = 'picket-page-' + token;
const appID = 'app-' + token;

// The state of a run.
let run = null; // the one under way; whatever belongs to another one is not looked at any more
let marks = { page: 'done' };
let values = {};
let problem = null; // a Failure
let retry = null; // { at, timer }
let delay = 0;
let trips = [];
let attempts = null; // the list; 'hidden'; null before the login
let received = 0; // when the list came
const opened = {}; // attempts whose advice is shown
let door = {}; // the listener that the page came from: mqtt, tls, port
let messages = []; // those that came, the newest first: text, at, mine
const messagesShown = 10;

// sentence begins a title as a sentence begins; the catalogue's are written to stand in the middle of one.
const sentence = s => s.charAt(0).toUpperCase() + s.slice(1);

function t(name, n) {
  const s = texts[lang][name];
  return n === undefined ? s : s.replace('{n}', n);
}

function node(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// fill puts what the page knows into the places of a cause's text, and makes code of what stands between backticks.
function fill(into, text, user) {
  const known = { host: location.hostname, port: location.port || (location.protocol === 'https:' ? '443' : '80'), user: user || $('user').value || 'USER', topic: $('topic').value };
  into.textContent = '';
  text.replace(/\{(host|port|user|topic)\}/g, (_, name) => known[name]).split('`').forEach((part, i) => {
    into.appendChild(i % 2 ? node('code', '', part) : document.createTextNode(part));
  });
}

// get fetches from the broker.
function get(url, done) {
  const x = new XMLHttpRequest();
  x.open('GET', url);
  x.timeout = 5000;
  x.onload = () => done(x.status === 200 ? x.responseText : null);
  x.onerror = x.ontimeout = () => done(null);
  x.send();
}

const asked = {};
// know has the text of a cause fetched if it is not there yet, and draws again when it is.
function know(cause) {
  const url = 'causes.json?lang=' + lang + (cause ? '&id=' + encodeURIComponent(cause) : '');
  if (asked[url] || cause && causes[cause]) return;
  asked[url] = true;
  get(url, text => {
    if (text === null) {
      asked[url] = false; // again when it is next needed
      return;
    }
    const found = JSON.parse(text);
    Object.keys(found).forEach(key => { causes[key] = found[key]; });
    show();
  });
}

function show() {
  document.documentElement.lang = lang === 'zh' ? 'zh-Hans' : 'en';
  document.title = 'Picket · ' + t('heading');
  [].forEach.call(document.querySelectorAll('[data-text]'), e => { e.textContent = t(e.getAttribute('data-text')); });
  $('language').textContent = t('language');
  $('reveal').textContent = t($('password').type === 'password' ? 'show' : 'hide');
  $('options').textContent = t('options');
  const running = !!(run || retry);
  $('form').className = running ? 'card running' : 'card';
  $('fields').hidden = running;
  $('options').hidden = running || !$('more').hidden;
  $('who').hidden = !running;
  $('who').textContent = $('user').value || t('noUser');
  $('start').textContent = t(running ? 'stop' : 'start');
  $('now').textContent = t('now');
  $('host').textContent = location.host;
  $('plain').hidden = running || location.protocol === 'https:';
  showSteps();
  showProblem();
  showApp();
  showMessages();
  showTrips();
  showAttempts();
}

// healthy: every step is done, and the connection lasts.
const healthy = () => !!run && marks.stay === 'done';

// settings are what to type into an app, as [name, value, remark]. Where something else than the broker answers at the page's port, nothing but WebSocket is
// known to get through.
function settings() {
  const secure = location.protocol === 'https:';
  const port = location.port || (secure ? '443' : '80');
  const plain = door.mqtt && String(door.port) === port;
  const user = $('user').value;
  const all = [[t('appHost'), location.hostname.replace(/^\[|\]$/g, '')], [t('appPort'), port]];
  if (!plain) all.push([t('appTransport'), secure ? 'WebSocket (wss)' : 'WebSocket (ws)', t('appPath') + '/mqtt']);
  if (secure) all.push(['TLS', t('on'), t('tlsTrust')]);
  else all.push(['TLS', t('off'), plain && door.tls ? t('tlsToo') : '']);
  all.push([t('user'), user || t('appNone')], [t('password'), t(user ? 'appPassword' : 'appNone')], [t('appClient'), appID, t('appClientHint')]);
  return all;
}

function showApp() {
  $('app').hidden = !healthy();
  if (!healthy()) return;
  const list = $('settings');
  list.textContent = '';
  settings().forEach(([name, value, remark]) => {
    list.appendChild(node('dt', '', name));
    const dd = node('dd', '', value);
    if (remark) dd.appendChild(node('small', '', remark));
    list.appendChild(dd);
  });
}

function showMessages() {
  $('talk').hidden = !healthy();
  if (!healthy()) return;
  $('talkTopic').textContent = run.topic;
  $('send').textContent = t('send');
  $('message').setAttribute('aria-label', t('message'));
  $('message').placeholder = t('message');
  const list = $('messages');
  list.textContent = '';
  messages.forEach(m => {
    const li = node('li', '', m.text);
    li.appendChild(node('small', '', m.at + (m.mine ? ' · ' + t('mine') : '')));
    list.appendChild(li);
  });
}

function showSteps() {
  const list = $('stages');
  list.textContent = '';
  steps.forEach(name => {
    const li = node('li', marks[name] || '');
    li.id = 'stage-' + name;
    li.appendChild(node('span', 'mark'));
    li.appendChild(node('span', 'what', t(name)));
    if (values[name] !== undefined) li.appendChild(node('span', 'value', values[name] + t('ms')));
    list.appendChild(li);
  });
}

function showProblem() {
  $('problem').hidden = !problem;
  if (!problem) return;
  const c = causes[problem.cause];
  know(problem.cause);
  $('title').textContent = c ? sentence(c.title) : problem.cause;
  const seen = problem.said ? t('said') + problem.said : problem.seen ? t(problem.seen, patience) : '';
  $('seen').textContent = seen;
  $('seen').hidden = !seen;
  fill($('explain'), c ? c.explain : '');
  $('hint').textContent = t('hints')[problem.cause] || '';
  $('hint').hidden = !$('hint').textContent;
  fill($('remedy'), c ? c.remedy : '');
  const other = problem.or && causes[problem.or];
  $('another').textContent = other ? t('or') + other.title : '';
  $('cause').textContent = problem.cause;
  $('again').hidden = !retry;
  if (retry) $('countdown').textContent = t('again', Math.max(1, Math.ceil((retry.at - now()) / 1000)));
}

function showTrips() {
  $('trips').hidden = !trips.length;
  if (!trips.length) return;
  const n = numbers(trips);
  const box = $('numbers');
  box.textContent = '';
  [['last', n.last], ['middle', n.middle], ['worst', n.worst]].forEach(([name, v]) => {
    const s = node('span', '', t(name));
    const b = node('b', '', v === undefined ? '–' : round(v));
    if (v !== undefined) b.appendChild(node('small', '', t('ms')));
    s.insertBefore(b, s.firstChild);
    box.appendChild(s);
  });
  const lost = node('span', '', t('lost'));
  lost.insertBefore(node('b', '', String(n.lost)), lost.firstChild);
  box.appendChild(lost);
  draw($('chart'), trips, t('ms'), t('trips') + ': ' + t('middle') + ' ' + (n.middle === undefined ? '–' : round(n.middle) + t('ms')));
}

const round = ms => (ms < 10 ? ms.toFixed(1) : String(Math.round(ms)));

// showAttempts lists what other apps did wrong: those of this phone, and apart from them those that may be somebody else's behind the same address.
function showAttempts() {
  const all = Array.isArray(attempts) ? attempts : [];
  const own = all.filter(a => a.own);
  const near = all.filter(a => !a.own);
  $('othersHint').textContent = attempts === null ? t('othersWait') : attempts === 'hidden' ? t('othersHidden') : own.length ? '' : t('othersNone');
  $('near').hidden = !near.length;
  listAttempts($('attempts'), own);
  listAttempts($('nearAttempts'), near);
}

function listAttempts(list, all) {
  list.textContent = '';
  all.forEach(a => {
    know(a.cause);
    const c = causes[a.cause];
    const li = node('li');
    li.appendChild(node('div', 'title', c ? sentence(c.title) : a.cause));
    li.appendChild(details(a));
    const key = a.cause + '|' + a.client + '|' + a.user;
    if (c && opened[key]) {
      const user = a.user === 'same' ? '' : 'USER';
      [c.explain, c.remedy].forEach(text => {
        const p = node('p', 'advice');
        fill(p, text, user);
        li.appendChild(p);
      });
    }
    if (c) {
      const b = node('button', 'small', t(opened[key] ? 'close' : 'advise'));
      b.type = 'button';
      b.onclick = () => { opened[key] = !opened[key]; showAttempts(); };
      li.appendChild(b);
    }
    list.appendChild(li);
  });
}

// details says when an attempt was, and what is known of who made it.
function details(a) {
  const ago = a.seconds + Math.floor((now() - received) / 1000);
  const users = { none: 'noUser', same: 'sameUser', similar: 'similarUser', other: 'otherUser' };
  const meta = [(a.count > 1 ? a.count + t('times') : '') + (ago < 60 ? ago + t('seconds') : Math.floor(ago / 60) + t('minutes'))];
  if (a.client) meta.push(t('client') + a.client);
  if (a.user) meta.push(t(users[a.user]));
  if (a.mqtt) meta.push('MQTT ' + a.mqtt);
  if (a.port) meta.push(t('port') + a.port);
  const line = node('div', 'meta', meta.join(' · ') + ' · ');
  line.appendChild(node('code', '', a.cause));
  return line;
}

function stop() {
  if (retry) clearInterval(retry.timer);
  retry = null;
  if (!run) return;
  const r = run;
  run = null;
  clearInterval(r.timer);
  if (r.connection) r.connection.close();
}

// fail ends a run with its problem. What passes by itself is tried again.
function fail(r, step, f) {
  if (run !== r) return;
  stop();
  marks[step] = 'failed';
  problem = f;
  attempts = null;
  const passes = ['maintenance', 'server-full', 'overloaded', 'overload-or-storm', 'connection-lost', 'broker-not-running', 'server-shutting-down', 'keepalive-missed', 'maintenance-or-reload'];
  if (passes.indexOf(f.cause) >= 0) {
    delay = Math.min(delay ? delay * 2 : 2, f.cause === 'maintenance' ? 30 : 15);
    retry = { at: now() + delay * 1000 };
    retry.timer = setInterval(() => {
      if (now() >= retry.at) begin();
      else showProblem();
    }, 500);
  }
  show();
  $('problem').scrollIntoView && $('problem').scrollIntoView();
}

// wonder finds out more about a WebSocket that did not open or ended without a word, of which a browser says nothing: does the page
// still answer?
function wonder(f, done) {
  if (navigator.onLine === false) {
    done(new Failure('wifi-cell-switch', '', 'offline'));
    return;
  }
  get('./?' + random(), text => {
    if (text === null) {
      const gone = new Failure('broker-not-running', '', 'goneBefore');
      gone.or = 'wifi-cell-switch';
      done(gone);
    } else {
      done(f);
    }
  });
}

async function begin() {
  stop();
  const r = run = { echo: null };
  marks = { page: 'done', socket: 'busy' };
  values = {};
  problem = null;
  trips = [];
  messages = [];
  show();
  const topic = $('topic').value;
  let step = 'socket';
  const next = name => {
    values[step] = Math.round(now() - r.began);
    marks[step] = 'done';
    step = name;
    marks[step] = 'busy';
    r.began = now();
    showSteps();
  };
  const ended = f => {
    if (run !== r) return;
    const at = marks.stay === 'busy' || marks.stay === 'done' ? 'stay' : step;
    if (f.said) fail(r, at, f);
    else wonder(f, better => fail(r, at, better));
  };
  r.began = now();
  try {
    const c = r.connection = new Connection((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/picket-page', {
      message: (name, text) => arrived(r, name, text),
      ended,
    });
    await c.open();
    if (run !== r) return;
    next('connect');
    await c.connect($('user').value, $('password').value, id);
    if (run !== r) return;
    next('subscribe');
    await c.subscribe(topic);
    c.subscribe(attemptsTopic).then(null, f => {
      if (run !== r) return;
      if (f.cause === 'attempts-hidden' || f.cause === 'acl-subscribe-denied') attempts = 'hidden';
      showAttempts();
    });
    if (run !== r) return;
    next('publish');
    const back = waitFor(r, 'picket page ' + random());
    await c.publish(topic, back.text);
    await back.came;
    if (run !== r) return;
    next('stay');
    marks.stay = 'done';
    delay = 0;
    r.topic = topic;
    show();
    r.timer = setInterval(() => trip(r), tripEvery);
    trip(r);
  } catch (e) {
    if (run !== r || r.connection && r.connection.live && r.connection.over) return; // ended has it
    let f = e instanceof Failure ? e : new Failure('protocol-violation', String(e && e.message || e));
    if (step === 'socket') {
      f = new Failure('proxy-no-upgrade', '', 'blocked');
      wonder(f, better => fail(r, 'socket', better));
    } else if (f.cause === 'connection-lost' && f.seen) {
      wonder(f, better => fail(r, step, better));
    } else {
      fail(r, step, f);
    }
  }
}

// waitFor waits for a message to come back.
function waitFor(r, text) {
  let timer;
  const came = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Failure('acl-read-denied', '', 'silent')), tripLost);
    r.echo = { text, resolve };
  });
  came.then(() => clearTimeout(timer), () => clearTimeout(timer));
  return { text, came };
}

// trip asks the broker for an answer (PINGREQ), and gives up the one before if that has not come in time.
function trip(r) {
  if (run !== r) return;
  if (r.asked !== undefined) {
    if (now() - r.asked < tripLost) return;
    push(null);
  }
  const at = r.asked = now();
  r.connection.ping().then(() => {
    if (run !== r || r.asked !== at) return; // given up
    r.asked = undefined;
    push(now() - at);
  }, () => {}); // the connection's end is heard of elsewhere
}

function push(v) {
  trips.push(v);
  if (trips.length > shown) trips.shift();
  showTrips();
}

function arrived(r, name, text) {
  if (run !== r) return;
  if (name === attemptsTopic) {
    try {
      attempts = JSON.parse(text);
      received = now();
    } catch (e) {
      return;
    }
    showAttempts();
  } else if (r.echo && text === r.echo.text) {
    r.echo.resolve();
    r.echo = null;
  } else if (name === r.topic) {
    const mine = r.mine === text;
    if (mine) r.mine = null;
    messages.unshift({ text: text.slice(0, 500), at: new Date().toLocaleTimeString(), mine });
    messages.length = Math.min(messages.length, messagesShown);
    showMessages();
  }
}

// say publishes a message, and says why it is not taken.
function say(r, text) {
  $('unsent').hidden = true;
  r.mine = text;
  new Promise(done => done(r.connection.publish(r.topic, text))).then(null, f => {
    if (run !== r) return;
    know(f.cause);
    $('unsent').hidden = false;
    $('unsent').textContent = f.said || (causes[f.cause] ? sentence(causes[f.cause].title) : f.cause);
  });
}

$('sender').addEventListener('submit', e => {
  e.preventDefault();
  const text = $('message').value;
  if (!run || !text) return;
  say(run, text);
  $('message').value = '';
});

$('form').addEventListener('submit', e => {
  e.preventDefault();
  if (run || retry) {
    stop();
    problem = null;
    attempts = null;
    show();
    return;
  }
  delay = 0;
  begin();
});
$('reveal').onclick = () => {
  const p = $('password');
  p.type = p.type === 'password' ? 'text' : 'password';
  show();
};
$('options').onclick = () => {
  $('more').hidden = false;
  $('topic').focus();
  show();
};
$('now').onclick = begin;
$('language').onclick = () => {
  lang = lang === 'zh' ? 'en' : 'zh';
  causes = {};
  Object.keys(asked).forEach(k => delete asked[k]);
  know('');
  show();
};
setInterval(() => { if (Array.isArray(attempts) && attempts.length) showAttempts(); }, 10000);

$('topic').value = 'picket/phone/' + token;
if (window.history && history.replaceState) history.replaceState(null, '', '#' + token);
get('door.json', text => {
  if (text === null) return; // then WebSocket is what is known
  door = JSON.parse(text);
  showApp();
});
$('starting').hidden = true;
$('main').hidden = false;
know('');
show();
