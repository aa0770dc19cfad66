package client

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"picket/packet"
)

// TestUpgradeAnswers: what servers and the proxies in front of them answer to a request for WebSocket.
func TestUpgradeAnswers(t *testing.T) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	for _, test := range []struct{ name, answer, wrong string }{
		{"as everybody", good, ""},
		{"Connection names more", strings.Replace(good, "Connection: Upgrade", "Connection: keep-alive, upgrade", 1), ""},
		{"Connection twice, small letters", strings.Replace(good, "Connection: Upgrade", "connection: keep-alive\r\nconnection: UPGRADE", 1), ""},
		{"another phrase, further headers", strings.Replace(good, "Switching Protocols\r\n", "OK\r\nSet-Cookie: a=b\r\nServer: x\r\n", 1), ""},
		{"Upgrade in capitals", strings.Replace(good, "Upgrade: websocket", "Upgrade: WebSocket", 1), ""},
		{"no page", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404 Not Found"},
		{"no Upgrade", strings.Replace(good, "Upgrade: websocket\r\n", "", 1), "does not say Upgrade"},
		{"an old HTTP", strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), "HTTP/1.0"},
		{"no Connection", strings.Replace(good, "Connection: Upgrade\r\n", "", 1), "does not say Upgrade"},
		{"another's key", strings.Replace(good, "KEY", "bm90IHRoZSBrZXk=", 1), "does not belong"},
		{"an extension", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), "extension"},
		{"no subprotocol", strings.Replace(good, "Sec-WebSocket-Protocol: mqtt\r\n", "", 1), "does not speak subprotocol mqtt"},
		{"another subprotocol", strings.Replace(good, "Protocol: mqtt", "Protocol: chat", 1), "not offered"},
		{"a head without end", "HTTP/1.1 101 X\r\nA: " + strings.Repeat("x", maxAnswerHead), "EOF"},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer theirs.Close()
				r, err := http.ReadRequest(bufio.NewReader(theirs))
				if err != nil || r.URL.Path != "/mqtt" || r.Host != "broker.test" || r.Header.Get("Origin") != "https://page.test" {
					t.Errorf("the request is %v, %v", r, err)
					return
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				// A frame comes together with the answer.
				_, _ = io.WriteString(theirs, strings.Replace(test.answer, "KEY", base64.StdEncoding.EncodeToString(sum[:]), 1)+"\x82\x02hi")
			}()
			u := &url.URL{Scheme: "ws", Host: "broker.test", Path: "/mqtt"}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			w, err := (&Transport{Header: http.Header{"Origin": {"https://page.test"}}}).upgrade(ctx, ours, u, packet.V311)
			switch {
			case test.wrong == "" && err != nil:
				t.Errorf("%v, want a WebSocket", err)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
				t.Errorf("%v, want an error with %q", err, test.wrong)
			case err == nil:
				got := make([]byte, 2)
				if _, err := io.ReadFull(w, got); err != nil || string(got) != "hi" {
					t.Errorf("the frame that came with the answer is %q, %v", got, err)
				}
			}
			ours.Close()
			<-ended
		})
	}
}

// TestUpgradeIsGivenUp: a server that does not answer is not waited for any longer than was said.
func TestUpgradeIsGivenUp(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(theirs))
		cancel()
	}()
	if _, err := (&Transport{}).upgrade(ctx, ours, &url.URL{Scheme: "ws", Host: "broker.test"}, packet.V5); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("%v, want that it was given up", err)
	}
}
