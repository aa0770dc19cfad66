//go:build unix

package page

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. It says only when to give up, after driver.mjs has, which tells what it has waited for.
const patience = 2 * time.Minute

// browser is the process of driver.mjs.
type browser struct {
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

// startBrowser starts Chromium. The function that it returns ends it.
func startBrowser(chromium string, stderr io.Writer) (*browser, func(), error) {
	cmd := exec.Command("node", "driver.mjs", chromium)
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
	b := &browser{stdin: stdin, wait: make(map[int]chan reply)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.read(stdout)
	}()
	return b, func() {
		stdin.Close()
		select {
		case <-done:
		case <-time.After(patience):
			cmd.Process.Kill()
		}
		_ = cmd.Wait() // what was wrong has been seen by the tests
	}, nil
}

// read takes answers until the process ends.
func (b *browser) read(r io.Reader) {
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
func (b *browser) do(op string, fields map[string]any, result any) error {
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

// tab is one page in the browser.
type tab struct {
	t    *testing.T
	b    *browser
	name string
}

// phone says how a tab is opened.
type phone struct {
	URL            string
	Width, Height  int
	Lang           string // zh-CN, en-GB
	Dark, Old      bool
	AnyCertificate bool // its owner has tapped the browser's warning away
}

// open opens a page, and closes it with the test.
func (b *browser) open(t *testing.T, p phone) *tab {
	t.Helper()
	tb := &tab{t, b, t.Name()}
	tb.do("open", map[string]any{"url": p.URL, "width": p.Width, "height": p.Height, "lang": p.Lang, "dark": p.Dark, "old": p.Old, "anyCertificate": p.AnyCertificate}, nil)
	t.Cleanup(func() { _ = b.do("close", map[string]any{"page": tb.name}, nil) }) // the next test has a page of its own
	return tb
}

func (tb *tab) do(op string, fields map[string]any, result any) {
	tb.t.Helper()
	fields["page"] = tb.name
	if err := tb.b.do(op, fields, result); err != nil {
		all := ""
		_ = tb.b.do("text", map[string]any{"page": tb.name, "selector": "body"}, &all)
		var s seen
		_ = tb.b.do("seen", map[string]any{"page": tb.name}, &s)
		tb.t.Fatalf("%s %v: %v\nthe page says:\n%s\nthe console says: %q", op, fields, err, all, s.Console)
	}
}

func (tb *tab) fill(selector, text string) {
	tb.t.Helper()
	tb.do("fill", map[string]any{"selector": selector, "text": text}, nil)
}

func (tb *tab) tap(selector string) {
	tb.t.Helper()
	tb.do("tap", map[string]any{"selector": selector}, nil)
}

// wait waits until an element is there that has the text.
func (tb *tab) wait(selector, text string) {
	tb.t.Helper()
	tb.do("wait", map[string]any{"selector": selector, "text": text}, nil)
}

func (tb *tab) text(selector string) (text string) {
	tb.t.Helper()
	tb.do("text", map[string]any{"selector": selector}, &text)
	return text
}

func (tb *tab) evaluate(script string, result any) {
	tb.t.Helper()
	tb.do("evaluate", map[string]any{"script": script}, result)
}

// seen is what the browser has done.
type seen struct {
	URLs       []string `json:"urls"`
	Console    []string `json:"console"`
	Bytes      int      `json:"bytes"`
	Violations []string `json:"violations"`
}

func (tb *tab) seen() (s seen) {
	tb.t.Helper()
	tb.do("seen", map[string]any{}, &s)
	return s
}
