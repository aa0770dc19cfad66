//go:build unix

// Package browser drives Debian's Chromium for tests of the program's pages.
package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// home is this package's folder, as a package of tests sees it.
const home = "../../internal/browser"

// patience bounds every wait. It says only when to give up, after driver.mjs has, which tells what it has waited for.
const patience = 2 * time.Minute

// Browser is the process of driver.mjs.
type Browser struct {
	stdin io.WriteCloser
	mu    sync.Mutex
	next  int
	wait  map[int]chan reply
	ended error
}

type reply struct {
	ID     int
	Result json.RawMessage
	Error  string
}

// Start builds the pages of the program, gets what drives the browser, and starts Debian's Chromium, from a package two folders below the repository's. The function that it
// returns ends the browser.
func Start(stderr io.Writer) (*Browser, func(), error) {
	if out, err := exec.Command("make", "-C", "../..", "page").CombinedOutput(); err != nil { // the pages are a part of the program
		return nil, nil, fmt.Errorf("make page: %w\n%s", err, out)
	}
	if _, err := os.Stat(home + "/node_modules"); err != nil {
		npm := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		npm.Dir = home
		if out, err := npm.CombinedOutput(); err != nil {
			return nil, nil, fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, fmt.Errorf("%w (make setup installs Debian's package chromium)", err)
	}
	cmd := exec.Command("node", "driver.mjs", chromium)
	cmd.Dir = home
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	b := &Browser{stdin: stdin, wait: make(map[int]chan reply)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(stdout)
	}()
	return b, func() { b.stop(cmd, done) }, nil
}

// stop ends the browser.
func (b *Browser) stop(cmd *exec.Cmd, done chan struct{}) {
	_ = b.stdin.Close()
	select {
	case <-done:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait() // what was wrong has been seen by the tests
}

// read takes answers until the process ends.
func (b *Browser) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var a reply
		if err == nil {
			err = json.Unmarshal(line, &a)
		}
		b.mu.Lock()
		if err != nil {
			b.ended = fmt.Errorf("the browser's driver has ended: %w", err)
			for _, c := range b.wait {
				close(c)
			}
			b.wait = nil
			b.mu.Unlock()
			return
		}
		if c := b.wait[a.ID]; c != nil {
			delete(b.wait, a.ID)
			c <- a
		}
		b.mu.Unlock()
	}
}

// do asks for an operation.
func (b *Browser) do(op string, fields map[string]any, result any) error {
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return b.ended
	}
	b.next++
	c := make(chan reply, 1)
	b.wait[b.next] = c
	fields["id"], fields["op"] = b.next, op
	line, err := json.Marshal(fields)
	if err == nil {
		_, err = b.stdin.Write(append(line, '\n'))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			return b.ended
		case a.Error != "":
			return errors.New(a.Error)
		case result != nil:
			return json.Unmarshal(a.Result, result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("no answer to %s within %v", op, patience)
	}
}

// Tab is one page in the browser.
type Tab struct {
	t    testing.TB
	b    *Browser
	name string
}

// Screen says how a tab is opened.
type Screen struct {
	URL            string
	Width, Height  int
	Lang           string // zh-CN, en-GB
	Dark           bool
	Old            bool // what browsers of 2016 lack is not there
	Desktop        bool // with a mouse and a keyboard, else a phone
	AnyCertificate bool // its owner has tapped the browser's warning away
}

// Open opens a page, and closes it with the test.
func (b *Browser) Open(t testing.TB, s Screen) *Tab {
	t.Helper()
	tab := &Tab{t, b, t.Name()}
	tab.Do("open", map[string]any{"url": s.URL, "width": s.Width, "height": s.Height, "lang": s.Lang, "dark": s.Dark, "old": s.Old, "desktop": s.Desktop, "anyCertificate": s.AnyCertificate}, nil)
	t.Cleanup(func() { _ = b.do("close", map[string]any{"page": tab.name}, nil) }) // the next test has a page of its own
	return tab
}

// Do has the driver carry out an operation, and reads what it answers; a failure ends the test, with what the page shows.
func (tab *Tab) Do(op string, fields map[string]any, result any) {
	tab.t.Helper()
	fields["page"] = tab.name
	if err := tab.b.do(op, fields, result); err != nil {
		all := ""
		_ = tab.b.do("text", map[string]any{"page": tab.name, "selector": "body"}, &all)
		var s Seen
		_ = tab.b.do("seen", map[string]any{"page": tab.name}, &s)
		tab.t.Fatalf("%s %v: %v\nthe page says:\n%s\nthe console says: %q", op, fields, err, all, s.Console)
	}
}

// Fill types a text into a field, in place of what it has.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	tab.Do("fill", map[string]any{"selector": selector, "text": text}, nil)
}

// Tap taps an element.
func (tab *Tab) Tap(selector string) {
	tab.t.Helper()
	tab.Do("tap", map[string]any{"selector": selector}, nil)
}

// Press presses a key.
func (tab *Tab) Press(key string) {
	tab.t.Helper()
	tab.Do("press", map[string]any{"key": key}, nil)
}

// Wait waits until an element is there that has the text.
func (tab *Tab) Wait(selector, text string) {
	tab.t.Helper()
	tab.Do("wait", map[string]any{"selector": selector, "text": text}, nil)
}

// Text is what an element shows.
func (tab *Tab) Text(selector string) (text string) {
	tab.t.Helper()
	tab.Do("text", map[string]any{"selector": selector}, &text)
	return text
}

// Evaluate carries out a script in the page.
func (tab *Tab) Evaluate(script string, result any) {
	tab.t.Helper()
	tab.Do("evaluate", map[string]any{"script": script}, result)
}

// Screenshot keeps a picture of the whole page.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	tab.Do("screenshot", map[string]any{"path": file}, nil)
}

// Seen is what the browser has done.
type Seen struct {
	URLs       []string `json:"urls"`
	Console    []string `json:"console"`
	Bytes      int      `json:"bytes"`
	Violations []string `json:"violations"`
}

// Seen returns what the browser has done for the page.
func (tab *Tab) Seen() (s Seen) {
	tab.t.Helper()
	tab.Do("seen", map[string]any{}, &s)
	return s
}

// Faults returns what is wider than the screen, too small for a finger on a phone, or too pale to read.
func (tab *Tab) Faults() (all []string) {
	tab.t.Helper()
	tab.Evaluate(faultsScript, &all)
	return all
}

// faultsScript finds what is wider than the screen, too small for a finger, or too pale to read (WCAG 2, 1.4.3: 4.5 to 1).
// Colours that are in motion are looked at where they come to rest.
const faultsScript = `(() => {
	for (const a of document.getAnimations()) try { a.finish(); } catch (endless) { a.cancel(); }
	const faults = [], visible = e => e.offsetParent !== null;
	const inside = (e, selector) => { for (; e; e = e.parentElement) if (e.matches(selector)) return true; return false; };
	const aside = e => { for (; e; e = e.parentElement) if (getComputedStyle(e).clipPath === 'inset(50%)') return true; return false; }; // for ears only
	const name = e => e.tagName + (e.id ? '#' + e.id : '.' + e.className);
	if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is ' + document.documentElement.scrollWidth + ' wide, the screen ' + innerWidth);
	for (const e of document.querySelectorAll('main *, header *, nav *, dialog *')) {
		if (!visible(e) || inside(e, 'svg, .plot') || aside(e)) continue;
		const r = e.getBoundingClientRect();
		if (r.right > innerWidth + 0.5 || r.left < -0.5) faults.push(name(e) + ' reaches from ' + r.left + ' to ' + r.right);
		const target = e.type === 'checkbox' ? e.closest('label').getBoundingClientRect() : r;
		if (innerWidth <= 760 && /^(BUTTON|INPUT|SELECT)$/.test(e.tagName) && (target.height < 44 || target.width < 44)) faults.push(name(e) + ' has ' + r.width + ' by ' + r.height);
	}
	const color = c => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
	const light = rgb => { const [r, g, b] = rgb.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const under = e => {
		if (!e) return [255, 255, 255];
		const c = color(getComputedStyle(e).backgroundColor);
		if (c.a === 1) return c.rgb;
		const below = under(e.parentElement);
		return c.rgb.map((v, i) => v * c.a + below[i] * (1 - c.a));
	};
	for (const e of document.querySelectorAll('body *')) {
		if (!visible(e) || inside(e, 'svg, .mark, .plot, :disabled') || aside(e) || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(color(getComputedStyle(e).color).rgb), light(under(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) faults.push(name(e) + ' has a contrast of ' + ratio.toFixed(2) + ': ' + e.textContent.slice(0, 30));
	}
	return faults;
})()`
