package admin

import (
	"fmt"
	"strings"
	"time"

	"picket/bridge"
	"picket/cause"
)

// bridgeWords are the texts about bridges in one language.
type bridgeWords struct{ none, up, down, waitsForMessages, next, counts, waiting string }

var bridgeTexts = map[cause.Lang]bridgeWords{
	cause.English: {
		none: "There are no bridges.\n",
		up:   "%s  connected to %s as %s for %s\n", down: "%s  not connected (%s), for %s\n",
		waitsForMessages: "  waits for messages, or for another configuration\n", next: "  tried next in %s, at %s\n",
		counts: "  messages: %d out, %d in, %d dropped\n", waiting: "  waiting for the remote broker: %d messages, %d bytes\n",
	},
	cause.Chinese: {
		none: "没有桥接。\n",
		up:   "%s  已连接 %s，标识符 %s，持续 %s\n", down: "%s  未连接（%s），持续 %s\n",
		waitsForMessages: "  等待消息，或等待新的配置\n", next: "  %s 后再次尝试 %s\n",
		counts: "  消息：发出 %d，收到 %d，丢弃 %d\n", waiting: "  等待发往对端：%d 条消息，%d 字节\n",
	},
}

// BridgesText tells of the bridges, and for each that is down why, and what to do about it. at is the time of the status.
func (s *Status) BridgesText(l cause.Lang, at time.Time) string {
	var b strings.Builder
	w := bridgeTexts[l]
	if len(s.Bridges) == 0 {
		b.WriteString(w.none)
	}
	for i := range s.Bridges {
		bridgeText(&b, &s.Bridges[i], w, l, at)
	}
	return b.String()
}

func bridgeText(b *strings.Builder, s *bridge.State, w bridgeWords, l cause.Lang, at time.Time) {
	since := at.Sub(s.Since).Round(time.Second)
	if s.Connected {
		fmt.Fprintf(b, w.up, s.Name, s.Address, s.ClientID, since)
	} else {
		fmt.Fprintf(b, w.down, s.Name, strings.Join(s.Addresses, ", "), since)
		whyText(b, s.Cause, s.Text, l)
		if s.Next.IsZero() {
			b.WriteString(w.waitsForMessages)
		} else {
			fmt.Fprintf(b, w.next, max(0, s.Next.Sub(at).Round(time.Second)), s.Address)
		}
	}
	fmt.Fprintf(b, w.counts, s.Out, s.In, s.Dropped)
	if s.Waiting > 0 {
		fmt.Fprintf(b, w.waiting, s.Waiting, s.Bytes)
	}
}
