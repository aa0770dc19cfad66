package admin

import (
	"strings"
	"testing"
	"time"

	"picket/bridge"
	"picket/cause"
)

func TestBridgesAreTold(t *testing.T) {
	at := time.Unix(1800000000, 0)
	s := &Status{Bridges: []bridge.State{
		{Name: "office", ClientID: "h.office", Addresses: []string{"a:1883"}, Address: "a:1883", Connected: true, Since: at.Add(-time.Hour), Out: 7, In: 5},
		{Name: "cloud", Addresses: []string{"b:8883", "c:8883"}, Address: "c:8883", Since: at.Add(-time.Minute), Cause: cause.BridgeRefused, Text: "not authorized", Next: at.Add(5 * time.Second), Waiting: 3, Bytes: 90},
		{Name: "lazy", Addresses: []string{"d:1883"}, Since: at},
	}}
	for lang, want := range map[cause.Lang][]string{
		cause.English: {"office  connected to a:1883 as h.office for 1h0m0s", "7 out, 5 in", "cloud  not connected (b:8883, c:8883), for 1m0s", "not authorized  [bridge-refused]", "`remote_password`", "tried next in 5s, at c:8883", "3 messages, 90 bytes", "waits for messages"},
		cause.Chinese: {"office  已连接 a:1883", "cloud  未连接", "[bridge-refused]", "`remote_password`", "等待消息"},
	} {
		text := s.BridgesText(lang, at)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in:\n%s", part, text)
			}
		}
	}
	if text := new(Status).BridgesText(cause.English, at); text != "There are no bridges.\n" {
		t.Errorf("%q", text)
	}
}
