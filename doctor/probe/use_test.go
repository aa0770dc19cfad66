package probe

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"picket/cause"
	"picket/doctor"
)

func TestUse(t *testing.T) {
	t.Parallel()
	const open = "listener {1}\nallow_anonymous true\n"
	for name, c := range map[string]struct {
		conf  string
		files map[string]string
		o     Options
		want  cause.ID
		end   cause.Stage
	}{
		"may not write":          {open + "acl_file {dir}/acl\n", map[string]string{"acl": "topic read #\n"}, Options{}, cause.ACLPublishDenied, cause.Use},
		"may not read":           {open + "acl_file {dir}/acl\n", map[string]string{"acl": "topic write #\n"}, Options{}, cause.ACLSilent, cause.Use},
		"may use this topic":     {open + "acl_file {dir}/acl\n", map[string]string{"acl": "topic readwrite home/#\n"}, Options{Topic: "home/fountain"}, "", ""},
		"may not use this topic": {open + "acl_file {dir}/acl\n", map[string]string{"acl": "topic readwrite home/#\n"}, Options{Topic: "garden/fountain"}, cause.ACLPublishDenied, cause.Use},
		"packets are bounded":    {open + "max_packet_size 2000\n", nil, Options{}, cause.PacketTooLarge, ""},
		"payloads are bounded":   {open + "message_size_limit 2000\n", nil, Options{}, cause.PacketTooLarge, ""}, // it hangs up, without a code
		"sizes up to the limit":  {open + "message_size_limit 2000\n", nil, Options{Size: 1024}, "", ""},
		"nothing is retained":    {open + "retain_available false\n", nil, Options{}, cause.RetainNotSupported, ""},
		"QoS 1 is the highest":   {open + "max_qos 1\n", nil, Options{}, cause.QoSNotSupported, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startMosquitto(t, c.conf, c.files)
			switch c.want {
			case "":
				c.o.Limit = patience
			case cause.ACLPublishDenied, cause.ACLSilent: // some messages do not come back
				c.o.Limit = moderate
			}
			expect(t, examine(t, "mqtt://"+m.at[0], c.o), c.want, c.end)
		})
	}
}

// slowly passes everything on that comes back from the broker, with a delay that TCP does not see.
func slowly(to string, delay time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		back, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer back.Close()
		go func() { _, _ = io.Copy(back, c); back.Close() }()
		b := make([]byte, 64<<10)
		for {
			n, err := back.Read(b)
			if err != nil {
				return
			}
			time.Sleep(delay)
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
		}
	}
}

// A broker that is slow while the network is not has too much to do.
func TestSlowBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	if !kernelTells(t) {
		t.Skip("this system does not tell round trips of connections")
	}
	m := plain(t)
	expect(t, examine(t, "mqtt://"+listen(t, slowly(m.at[0], 250*time.Millisecond)), Options{Limit: patience}), cause.Overloaded, "")
}

// kernelTells reports whether the system says what it knows about connections.
func kernelTells(t *testing.T) bool {
	conn, err := net.Dial("tcp", listen(t, silent))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, ok := socketState(conn)
	return ok
}

// closesIdle passes connections on until nothing comes from the client for a while: then it closes, or forgets the connection.
func closesIdle(to string, idle time.Duration, forget bool) func(net.Conn) {
	return func(c net.Conn) {
		back, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer back.Close()
		go func() { _, _ = io.Copy(c, back) }()
		b := make([]byte, 64<<10)
		for {
			c.SetReadDeadline(time.Now().Add(idle))
			n, err := c.Read(b)
			if err != nil && forget {
				c.SetReadDeadline(time.Time{})
				silent(c)
			}
			if err != nil {
				return
			}
			if _, err := back.Write(b[:n]); err != nil {
				return
			}
		}
	}
}

func TestStay(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	m := plain(t)
	t.Run("stays", func(t *testing.T) {
		t.Parallel()
		expect(t, examine(t, "mqtt://"+m.at[0], Options{Stay: 2 * time.Second, Limit: patience}), "", "")
	})
	t.Run("is closed", func(t *testing.T) {
		t.Parallel()
		r := examine(t, "mqtt://"+listen(t, closesIdle(m.at[0], 15*time.Second, false)), Options{Stay: 20 * time.Second})
		expect(t, r, cause.LBIdleTimeout, cause.Stay)
	})
	t.Run("is forgotten", func(t *testing.T) {
		t.Parallel()
		r := examine(t, "mqtt://"+listen(t, closesIdle(m.at[0], 15*time.Second, true)), Options{Stay: 20 * time.Second, Limit: moderate})
		expect(t, r, cause.NATIdleTimeout, cause.Stay)
	})
}

func TestSteps(t *testing.T) {
	for d, want := range map[time.Duration]int{time.Second: 1, 30 * time.Second: 1, 60 * time.Second: 2, 310 * time.Second: 4, 600 * time.Second: 5} {
		if got := steps(d); len(got) != want || got[len(got)-1] != int(d.Seconds()) {
			t.Errorf("%v: got %v", d, got)
		}
	}
}

// The name localhost leads to IPv4 and IPv6; a broker that listens on one of them is found there, and the other is named.
func TestFamilies(t *testing.T) {
	p := &prober{Options: Options{Limit: time.Second}, target: doctor.Target{Scheme: "mqtt", Host: "localhost"}}
	address := listen(t, silent)
	a := netip.MustParseAddrPort(address)
	p.target.Port, p.settled = int(a.Port()), true
	p.addresses = []netip.Addr{netip.IPv6Loopback(), a.Addr()}
	if !p.tcp(t.Context()) || p.address != a.Addr() {
		t.Fatalf("the open address was not chosen: %v", p.facts)
	}
	findings, end := doctor.Diagnose(append([]doctor.Fact{p.target.Entered(), doctor.Address{Address: "::1", Class: doctor.Loopback}}, p.facts...))
	if end != "" || len(findings) != 1 || findings[0].Cause != cause.IPv4OnlyListener {
		t.Errorf("got %+v at %q", findings, end)
	}
}

// The facts end with the context, and no connection outlives it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	target, err := doctor.ParseTarget("mqtt://" + listen(t, silent))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := Run(ctx, Options{Target: target, Limit: 24 * time.Hour, Fact: func(doctor.Fact) {
		if n.Add(1) == 4 { // the dial; CONNECT is next
			time.AfterFunc(50*time.Millisecond, cancel)
		}
	}}); err == nil {
		t.Error("an interrupted examination has a result")
	}
}
