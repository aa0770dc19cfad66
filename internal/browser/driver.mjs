// Drives Chromium for browser.go: one JSON object a line comes in ({"id": 1, "op": "open", ...}), one goes out ({"id": 1, "result": ...} or
// {"id": 1, "error": "..."}).
import { chromium } from 'playwright-core';
import { createInterface } from 'node:readline';

// patience is how long anything may take, in milliseconds. browser.go has a little more.
const patience = 60000;

const browser = await chromium.launch({
  timeout: patience,
  executablePath: process.argv[2],
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const pages = {};

// What browsers of 2016 lack is taken away, but for globalThis, which Playwright itself needs: page_test.go of the page looks for that.
function makeOld() {
  for (const [owner, names] of [
    [Object, ['entries', 'values', 'fromEntries', 'getOwnPropertyDescriptors']],
    [Array.prototype, ['includes', 'flat', 'flatMap', 'at', 'findLast']],
    [String.prototype, ['padStart', 'padEnd', 'replaceAll', 'matchAll', 'trimStart', 'at']],
    [Promise.prototype, ['finally']], [Promise, ['allSettled', 'any']],
    [NodeList.prototype, ['forEach']], [Element.prototype, ['append', 'prepend', 'replaceChildren', 'replaceWith', 'closest', 'toggleAttribute']],
    [window, ['fetch', 'AbortController', 'IntersectionObserver', 'ResizeObserver', 'queueMicrotask', 'structuredClone', 'URLSearchParams', 'BigInt', 'customElements']],
  ]) for (const name of names) delete owner[name];
}

const ops = {
  async open({ page: name, url, width, height, lang, dark, old, desktop, anyCertificate }) {
    const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: 2, locale: lang, colorScheme: dark ? 'dark' : 'light', isMobile: !desktop, hasTouch: true, ignoreHTTPSErrors: anyCertificate });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const seen = { urls: [], console: [], bytes: 0 };
    page.on('request', r => seen.urls.push(r.url()));
    page.on('websocket', w => seen.urls.push(w.url()));
    page.on('console', m => { if (['error', 'warning'].includes(m.type())) seen.console.push(m.text()); });
    page.on('pageerror', e => seen.console.push(String(e)));
    const cdp = await context.newCDPSession(page);
    await cdp.send('Network.enable');
    cdp.on('Network.loadingFinished', e => { seen.bytes += e.encodedDataLength; });
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
    });
    if (old) await page.addInitScript(makeOld);
    pages[name] = { context, page, seen };
    await page.goto(url);
  },
  fill: ({ page, selector, text }) => pages[page].page.fill(selector, text),
  tap: ({ page, selector }) => pages[page].page.tap(selector),
  press: ({ page, key }) => pages[page].page.keyboard.press(key),
  // wait waits until an element is visible and its text contains one.
  async wait({ page, selector, text }) {
    await pages[page].page.locator(selector).filter({ hasText: text }).first().waitFor();
  },
  text: ({ page, selector }) => pages[page].page.innerText(selector),
  evaluate: ({ page, script }) => pages[page].page.evaluate(script),
  screenshot: ({ page, path }) => pages[page].page.screenshot({ path, fullPage: true }),
  async seen({ page }) {
    const violations = await pages[page].page.evaluate('window.violations');
    return { ...pages[page].seen, violations };
  },
  async close({ page }) {
    await pages[page].context.close();
    delete pages[page];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  // Operations of different pages run at the same time.
  Promise.resolve().then(() => ops[request.op](request)).then(
    result => console.log(JSON.stringify({ id: request.id, result: result ?? null })),
    error => console.log(JSON.stringify({ id: request.id, error: String(error.message || error) })),
  );
}
await browser.close();
