package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"picket/broker"
	"picket/cause"
	"picket/printable"
)

// Rates are what passes between clients and the broker in a second, over some seconds.
type Rates struct {
	At      time.Time    `json:"at"`
	Seconds float64      `json:"seconds"` // over which they are
	Active  int          `json:"active"`  // clients with which something has passed
	Items   []ClientRate `json:"items"`
}

// ClientRate is one client, with what passes in a second.
type ClientRate struct {
	broker.ClientState
	MessagesIn  float64 `json:"messages_in"` // PUBLISH packets from it
	MessagesOut float64 `json:"messages_out"`
	BytesIn     float64 `json:"bytes_in"` // of packets of all types
	BytesOut    float64 `json:"bytes_out"`
}

// RateOrders are what rates are sorted by, the largest first.
var RateOrders = []string{"messages", "messages_in", "messages_out", "bytes", "bytes_in", "bytes_out", "queued"}

// Rates asks who is busy, and calls each with every answer until it or the context says that it is enough. query is that of GET /api/v1/rates.
func (c *Client) Rates(ctx context.Context, query url.Values, lang cause.Lang, each func(*Rates) error) error {
	body, err := c.open(ctx, "/api/v1/rates?"+query.Encode(), lang)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		r := new(Rates)
		switch err := lines.Decode(r); {
		case ctx.Err() != nil || err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", c.Path, err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
}

// rateTexts are the words of a table of rates.
var rateTexts = struct {
	above, nobody cause.Text
	heads         [7]cause.Text
}{
	above:  cause.Text{EN: "%s  %d clients active, first those with most %s", ZH: "%s  活跃客户端 %d，按%s排序"},
	nobody: cause.Text{EN: "nothing passes", ZH: "没有流量"},
	heads: [7]cause.Text{{EN: "CLIENT", ZH: "客户端"}, {EN: "USER", ZH: "用户"}, {EN: "MSG/s IN", ZH: "消息/秒 入"}, {EN: "MSG/s OUT", ZH: "消息/秒 出"},
		{EN: "B/s IN", ZH: "字节/秒 入"}, {EN: "B/s OUT", ZH: "字节/秒 出"}, {EN: "QUEUED", ZH: "排队"}},
}

// orderTexts are the orders in words.
var orderTexts = map[string]cause.Text{
	"messages": {EN: "messages", ZH: "消息数"}, "messages_in": {EN: "messages in", ZH: "收到的消息数"}, "messages_out": {EN: "messages out", ZH: "发出的消息数"},
	"bytes": {EN: "bytes", ZH: "字节数"}, "bytes_in": {EN: "bytes in", ZH: "收到的字节数"}, "bytes_out": {EN: "bytes out", ZH: "发出的字节数"}, "queued": {EN: "messages waiting", ZH: "等待的消息数"},
}

// Text is a table for a person, in lines of at most so many columns and at most so many lines; rows 0: all of them.
func (r *Rates) Text(order string, lang cause.Lang, columns, rows int) string {
	table := [][]string{make([]string, len(rateTexts.heads))}
	for i, head := range rateTexts.heads {
		table[0][i] = head.In(lang)
	}
	for _, c := range r.Items {
		table = append(table, []string{printable.Text(c.ID), printable.Text(c.User), rate(c.MessagesIn), rate(c.MessagesOut), rate(c.BytesIn), rate(c.BytesOut), strconv.Itoa(c.Queued + c.Inflight)})
	}
	widths := make([]int, len(rateTexts.heads))
	for _, row := range table {
		for i, text := range row {
			widths[i] = max(widths[i], printable.Columns(text))
		}
	}
	rest := columns
	for _, w := range widths[2:] {
		rest -= w + 2
	}
	widths[1] = min(widths[1], max(rest/3, 4))
	widths[0] = max(min(widths[0], rest-widths[1]-2), 6)
	lines := []string{fmt.Sprintf(rateTexts.above.In(lang), r.At.Local().Format(time.TimeOnly), r.Active, orderTexts[order].In(lang))}
	for _, row := range table {
		lines = append(lines, aligned(row, widths))
	}
	if len(r.Items) == 0 {
		lines = append(lines, rateTexts.nobody.In(lang))
	}
	if rows > 0 && len(lines) > rows {
		lines = lines[:rows]
	}
	for i := range lines {
		lines[i] = cut(lines[i], columns)
	}
	return strings.Join(lines, "\n") + "\n"
}

// aligned is a row of a table: texts to the left, cut with a … where they have no room, and figures to the right.
func aligned(row []string, widths []int) string {
	var b strings.Builder
	for i, text := range row {
		text = cut(text, widths[i])
		room := strings.Repeat(" ", max(0, widths[i]-printable.Columns(text)))
		switch {
		case i == 0:
			b.WriteString(text + room)
		case i == 1:
			b.WriteString("  " + text + room)
		default:
			b.WriteString("  " + room + text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// cut is a text that has no more than so many columns: a … stands for the rest.
func cut(text string, columns int) string {
	for kept := []rune(text); printable.Columns(text) > columns && len(kept) > 0; {
		kept = kept[:len(kept)-1]
		text = string(kept) + "…"
	}
	return text
}

// rate is a figure per second.
func rate(n float64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.0fG", n/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%.0fM", n/1e6)
	case n >= 10e3:
		return fmt.Sprintf("%.0fk", n/1e3)
	case n >= 10 || n == 0:
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}
