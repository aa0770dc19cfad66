package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"picket/cause"
	"picket/doctor"
)

// nameServer answers questions about names ending in .test. A name without an entry does not exist; an entry without addresses of a
// family has none; the entry "mute." gets no answer, and "broken." the answer that the server failed.
func nameServer(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			addresses, known := names[q.Name.String()]
			switch {
			case strings.HasPrefix(q.Name.String(), "mute."):
				continue
			case strings.HasPrefix(q.Name.String(), "broken."):
				m.RCode = dnsmessage.RCodeServerFailure
			case !known:
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, s := range addresses {
				a := netip.MustParseAddr(s)
				h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: 60}
				if a.Is4() && q.Type == dnsmessage.TypeA {
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
				} else if a.Is6() && q.Type == dnsmessage.TypeAAAA {
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wait.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestNames(t *testing.T) {
	t.Parallel()
	m := plain(t)
	_, port, err := net.SplitHostPort(m.at[0])
	if err != nil {
		t.Fatal(err)
	}
	resolver := nameServer(t, map[string][]string{"broker.test.": {"127.0.0.1"}, "old.test.": {"127.0.0.1", "127.0.0.9"}, "six.test.": {"::1"}, "empty.test.": {}})
	for host, c := range map[string]struct {
		want cause.ID
		end  cause.Stage
	}{
		"broker.test": {"", ""},
		"absent.test": {cause.DNSMissingOrStale, cause.Name},
		"empty.test":  {cause.DNSMissingOrStale, cause.Name},
		"broken.test": {cause.DNSNoAnswer, cause.Name},
		"mute.test":   {cause.DNSNoAnswer, cause.Name},
		"old.test":    {cause.DNSMissingOrStale, ""},       // nothing listens at the second address
		"six.test":    {cause.IPv4OnlyListener, cause.TCP}, // the broker listens on IPv4
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			limit := patience
			if host == "mute.test" || host == "broken.test" {
				limit = time.Second // what never comes is not waited for
			}
			expect(t, examine(t, "mqtt://"+host+":"+port, Options{Resolver: resolver, Limit: limit}), c.want, c.end)
		})
	}
}

func TestClassify(t *testing.T) {
	near := []network{{"wlan0", netip.MustParsePrefix("192.168.7.0/24"), netip.MustParseAddr("192.168.7.9")}, {"lo", netip.MustParsePrefix("127.0.0.0/8"), netip.MustParseAddr("127.0.0.1")},
		{"wlan0", netip.MustParsePrefix("fe80::/64"), netip.MustParseAddr("fe80::9")}, {"tun0", netip.MustParsePrefix("10.8.0.2/32"), netip.MustParseAddr("10.8.0.2")}}
	for address, want := range map[string]doctor.Address{
		"127.0.0.1":       {Class: doctor.Loopback, Own: true},
		"::1":             {Class: doctor.Loopback, Own: true},
		"192.168.7.9":     {Class: doctor.Private, Own: true, Near: "wlan0"},
		"192.168.7.5":     {Class: doctor.Private, Near: "wlan0"},
		"192.168.8.5":     {Class: doctor.Private},
		"10.8.0.2":        {Class: doctor.Private, Own: true},
		"10.8.0.3":        {Class: doctor.Private},
		"100.64.0.1":      {Class: doctor.Shared},
		"169.254.1.1":     {Class: doctor.LinkLocal},
		"fe80::1%wlan0":   {Class: doctor.LinkLocal, Near: "wlan0"},
		"fd00::1":         {Class: doctor.Private},
		"203.0.113.7":     {Class: doctor.Example},
		"8.8.8.8":         {Class: doctor.Public},
		"104.16.132.229":  {Class: doctor.Public, CDN: "Cloudflare"},
		"151.101.1.69":    {Class: doctor.Public, CDN: "Fastly"},
		"2606:4700::1111": {Class: doctor.Public, CDN: "Cloudflare"},
	} {
		want.Address = address
		if got := classify(netip.MustParseAddr(address), near); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestIdentify(t *testing.T) {
	mosquitto := identify(map[string]string{"$SYS/broker/version": "mosquitto version 2.0.11", "$SYS/broker/uptime": "12 seconds", "$SYS/broker/clients/connected": "3"})
	if mosquitto.Version != "mosquitto version 2.0.11" || mosquitto.Connected == nil || *mosquitto.Connected != 3 || mosquitto.Maximum != nil {
		t.Errorf("got %+v", mosquitto)
	}
	if emqx := identify(map[string]string{"$SYS/brokers/emqx@127.0.0.1/version": "5.8.0", "$SYS/brokers/emqx@127.0.0.1/x/version": "1"}); emqx.Version != "EMQX 5.8.0" {
		t.Errorf("got %+v", emqx)
	}
}
