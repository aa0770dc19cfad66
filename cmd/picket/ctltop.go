package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"picket/admin"
	"picket/api"
	"picket/cause"
	"picket/printable"
)

// ctlTop is "picket ctl top".
type ctlTop struct {
	Sort  string `enum:"messages,messages_in,messages_out,bytes,bytes_in,bytes_out,queued" default:"messages" placeholder:"ORDER" help:"What comes first: messages, messages_in, messages_out, bytes, bytes_in, bytes_out or queued (default ${default})." zh:"排序依据：messages、messages_in、messages_out、bytes、bytes_in、bytes_out 或 queued（默认 ${default}）。"`
	Every int    `default:"1" placeholder:"SECONDS" help:"Seconds between two readings, 1 to 10 (default ${default})." zh:"两次读取之间的秒数，1 到 10（默认 ${default}）。"`
	Limit int    `default:"100" placeholder:"N" help:"At most so many clients, up to 1000 (default ${default})." zh:"最多列出多少个客户端，上限 1000（默认 ${default}）。"`
	Once  bool   `help:"Print one reading and end." zh:"输出一次后结束。"`
	adminFlags
}

func (ctlTop) details() details {
	return details{
		Text: cause.Text{EN: `Shows which clients are busy: messages and bytes in a second, from them and to them, and what waits for them. At a terminal it is drawn anew with every reading; keys: m messages, i in, o out, b bytes,
w waiting, q ends. Elsewhere the readings follow one another. With --json each is a line of JSON. Traffic is counted by client only while this runs.`, ZH: `显示哪些客户端繁忙：每秒收发的消息数和字节数，以及等待它们的消息。在终端上每次读取后重新绘制；按键：m 消息，i 收到，o 发出，b 字节，w 等待，q 结束。不在终端上时依次输出每次读取。加 --json 时每次为一行 JSON。只有在它运行时才按客户端计数。`},
		examples: `picket ctl top
picket ctl top --sort queued
picket ctl top --once --limit 10
picket ctl top --json --every 10`,
	}
}

var topTexts = struct{ keys cause.Text }{
	keys: cause.Text{EN: "m messages  i in  o out  b bytes  w waiting  q quit", ZH: "m 消息  i 收到  o 发出  b 字节  w 等待  q 退出"},
}

// topKeys are the orders behind keys.
var topKeys = map[byte]string{'m': "messages", 'i': "messages_in", 'o': "messages_out", 'b': "bytes", 'w': "queued"}

// Run asks and shows until it is told to end.
func (c *ctlTop) Run(e *env) error {
	if c.Every < 1 || c.Every > 10 {
		return &usageError{text: "--every: a number from 1 to 10 is expected"}
	}
	if c.Limit < 1 || c.Limit > api.MostItems {
		return &usageError{text: fmt.Sprintf("--limit: a number from 1 to %d is expected", api.MostItems)}
	}
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	if c.JSON || c.Once || !isTerminal(e.stdout) || !isTerminal(e.stdin) {
		query := c.query(c.Sort)
		if c.Once {
			query.Set("count", "1")
		}
		return found.Rates(e.ctx, query, e.lang(), func(r *admin.Rates) error { return c.show(e, r) })
	}
	return c.draw(e, found)
}

func (c *ctlTop) query(order string) url.Values {
	return url.Values{"sort": {order}, "every": {strconv.Itoa(c.Every)}, "limit": {strconv.Itoa(c.Limit)}}
}

// show prints a reading where it is not drawn.
func (c *ctlTop) show(e *env, r *admin.Rates) error {
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(r)
	}
	_, err := io.WriteString(e.stdout, r.Text(c.Sort, e.lang(), columns(e), 0))
	return err
}

// screen is a terminal on which readings are drawn.
type screen struct {
	file *os.File
	lang cause.Lang

	mu    sync.Mutex
	order string
}

// draw takes the terminal over until a key, or whoever runs it, ends it.
func (c *ctlTop) draw(e *env, found *admin.Client) error {
	in, out := e.stdin.(*os.File), e.stdout.(*os.File)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	s := &screen{file: out, lang: e.lang(), order: c.Sort}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // the other screen, without a cursor
	defer func() {
		fmt.Fprint(out, "\x1b[?25h\x1b[?1049l")
		_ = term.Restore(int(in.Fd()), before) // the program ends, there is nothing else to do about it
	}()
	ctx, end := context.WithCancel(e.ctx)
	defer end()
	turns := make(chan struct{}, 1)
	go s.keys(in, end, turns)
	for ctx.Err() == nil {
		order := s.ordered("")
		reading, stop := context.WithCancel(ctx)
		go func() {
			select {
			case <-turns:
				stop()
			case <-reading.Done():
			}
		}()
		err := found.Rates(reading, c.query(order), s.lang, func(r *admin.Rates) error { return s.paint(r, order) })
		over := reading.Err() == nil
		stop()
		if err != nil || over {
			return err
		}
	}
	return nil
}

// ordered returns the order, and sets it where one is given.
func (s *screen) ordered(now string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now != "" {
		s.order = now
	}
	return s.order
}

// keys reads what is typed until the program ends. In raw mode an interrupt is a key as well.
func (s *screen) keys(in io.Reader, end func(), turns chan<- struct{}) {
	var typed [64]byte
	for {
		n, err := in.Read(typed[:])
		if err != nil {
			end()
			return
		}
		for _, key := range typed[:n] {
			switch order := topKeys[key]; {
			case key == 'q' || key == 'Q' || key == 3 || key == 4:
				end()
			case order != "":
				s.ordered(order)
				select {
				case turns <- struct{}{}:
				default:
				}
			}
		}
	}
}

// paint draws a reading in the size that the terminal has now.
func (s *screen) paint(r *admin.Rates, order string) error {
	columns, rows, err := term.GetSize(int(s.file.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		columns, rows = 80, 24
	}
	text := r.Text(order, s.lang, columns, rows-1)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if keys := topTexts.keys.In(s.lang); printable.Columns(keys) <= columns && rows > 1 {
		lines = append(lines, keys)
	}
	_, err = fmt.Fprintf(s.file, "\x1b[H%s\x1b[K\x1b[J", strings.Join(lines, "\x1b[K\r\n"))
	return err
}
