//go:build linux

package lab

import (
	"syscall"
	"time"

	"picket/cause"
)

func connectFaults() []fault {
	const guarded = "listener 1883\nallow_anonymous false\npassword_file {dir}/passwords\n"
	login := func(start func(*world), more ...string) func(*world) []string {
		return func(w *world) []string {
			w.passwords()
			start(w)
			return append([]string{url4("mqtt", 1883)}, more...)
		}
	}
	wrong := func(start func(*world)) func(*world) []string {
		return func(w *world) []string {
			return append(login(start, "--user", user)(w), "--password-file", w.file("wrong", "guessed\n"))
		}
	}
	mosquitto := func(w *world) { w.mosquitto(guarded) }
	picket := func(w *world) { w.picket(guarded) }
	withPicket := func(conf string, more ...string) func(*world) []string {
		return func(w *world) []string { w.picket(conf); return append([]string{url4("mqtt", 1883)}, more...) }
	}
	maintained := func(more ...string) func(*world) []string {
		return func(w *world) []string {
			w.picket(open)
			w.run(serverSide, append([]string{binary, "ctl", "maintenance", "on", "--socket", w.path("admin.sock")}, more...)...)
			return []string{url4("mqtt", 1883)}
		}
	}
	return []fault{
		{name: "mosquitto: a wrong password", want: cause.BadCredentials, make: wrong(mosquitto)},
		{name: "mosquitto: an unknown user", want: cause.BadCredentials, make: login(mosquitto, "--user", "nobody")},
		{name: "mosquitto: no user", want: cause.AnonymousRefused, make: login(mosquitto)},
		{name: "Picket: a wrong password", want: cause.BadCredentials, make: wrong(picket)},
		{name: "Picket: no user", want: cause.AnonymousRefused, make: login(picket)},
		{name: "mosquitto: a client identifier without the prefix", want: cause.ClientIDPrefix, make: func(w *world) []string {
			w.mosquitto(open + "clientid_prefixes doctor\n")
			return []string{url4("mqtt", 1883), "--id", "fountain"}
		}},
		{name: "Picket: a client identifier without the prefix", want: cause.ClientIDPrefix, make: withPicket("clientid_prefixes doctor\n"+open, "--id", "fountain")},
		{name: "Picket: a keep alive above the limit", want: cause.KeepaliveRefused, make: withPicket("max_keepalive 20\n" + open)},
		{name: "mosquitto: full", want: cause.MaxConnections, make: func(w *world) []string {
			w.mosquitto(open + "max_connections 1\n")
			w.occupies(routerSide, server4+":1883", "early")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Picket: full", want: cause.ServerFull, make: func(w *world) []string {
			w.picket(open + "max_connections 1\n")
			w.occupies(routerSide, server4+":1883", "early")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Picket: maintenance", want: cause.Maintenance, make: maintained("--message", "a new disk")},
		{name: "Picket: maintenance, and another server", want: cause.Maintenance, make: maintained("--server-reference", "other.test:1883")},
		{name: "Picket: overloaded, and says so", want: cause.Overloaded, make: func(w *world) []string {
			broker := w.picket(open)
			pulse(w, broker.pid, 2500*time.Millisecond, 200*time.Millisecond)
			w.wait("the broker finds itself overloaded", func() bool { return broker.said("[overloaded]") })
			return []string{url4("mqtt", 1883)}
		}},
		{name: "what checks the passwords does not answer", want: cause.AuthBackendDown, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.listen(serverSide, server4+":1883", w.holdsBackConnack("127.0.0.1:1884"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a broker for everyone at a public address", want: cause.OpenToEveryone, make: func(w *world) []string {
			w.mosquitto(open)
			w.batch(serverSide, "addr add 8.8.4.4/32 dev eth0\n")
			w.batch(routerSide, "route add 8.8.4.4 dev wan\n")
			return []string{"mqtt://8.8.4.4"}
		}},
	}
}

func useFaults() []fault {
	type run = func(w *world, conf string)
	mosquitto := func(w *world, conf string) { w.mosquitto(conf) }
	picket := func(w *world, conf string) { w.picket(conf) }
	rules := func(start run, acl string, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.file("acl", acl)
			start(w, open+"acl_file {dir}/acl\n")
			return append([]string{url4("mqtt", 1883)}, more...)
		}
	}
	with := func(start run, conf string) func(*world) []string {
		return func(w *world) []string { start(w, open+conf); return []string{url4("mqtt", 1883)} }
	}
	return []fault{
		{name: "mosquitto: may not publish", want: cause.ACLPublishDenied, make: rules(mosquitto, "topic read #\n")},
		{name: "mosquitto: may not receive, and is not told", want: cause.ACLSilent, make: rules(mosquitto, "topic write #\n")},
		{name: "mosquitto: may not publish to this topic", want: cause.ACLPublishDenied, make: rules(mosquitto, "topic readwrite home/#\n", "--topic", "garden/fountain")},
		{name: "Picket: may not publish", want: cause.ACLPublishDenied, make: rules(picket, "topic read #\n")},
		{name: "Picket: may not subscribe", want: cause.ACLSubscribeDenied, make: rules(picket, "topic write #\n")},
		{name: "mosquitto: packets are bounded", want: cause.PacketTooLarge, make: with(mosquitto, "max_packet_size 2000\n")},
		{name: "mosquitto: payloads are bounded", want: cause.PacketTooLarge, make: with(mosquitto, "message_size_limit 2000\n")},
		{name: "Picket: packets are bounded", want: cause.PacketTooLarge, make: with(picket, "max_packet_size 2000\n")},
		{name: "mosquitto: nothing is retained", want: cause.RetainNotSupported, make: with(mosquitto, "retain_available false\n")},
		{name: "Picket: nothing is retained", want: cause.RetainNotSupported, make: with(picket, "retain_available false\n")},
		{name: "mosquitto: QoS 2 is not there", want: cause.QoSNotSupported, make: with(mosquitto, "max_qos 1\n")},
		{name: "Picket: QoS 2 is not there", want: cause.QoSNotSupported, make: with(picket, "max_qos 1\n")},
	}
}

func stayFaults() []fault {
	// lossy has the router lose packets of both directions.
	lossy := func(percent string) func(*world) []string {
		return func(w *world) []string {
			w.filter(routerSide, "meta l4proto tcp numgen random mod 100 < "+percent+" drop")
			return plain(w)
		}
	}
	// narrow has the router's way to the client be narrower than both ends believe, and keep that to itself.
	narrow := func(w *world) {
		w.batch(routerSide, "link set lan mtu 1280\n") // what IPv6 demands
		w.nft(routerSide, "table inet lab {\n chain lab {\n  type filter hook output priority 0;\n  icmp type destination-unreachable drop\n  icmpv6 type packet-too-big drop\n }\n}\n")
	}
	proxied := func(idle time.Duration, stay string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.listen(serverSide, server4+":1883", w.closesIdle(serverSide, "127.0.0.1:1884", idle))
			return []string{url4("mqtt", 1883), "--stay", stay}
		}
	}
	shared := func(start func(*world)) func(*world) []string {
		return func(w *world) []string {
			start(w)
			w.occupies(routerSide, server4+":1883", "fountain")
			return []string{url4("mqtt", 1883), "--id", "fountain"}
		}
	}
	return []fault{
		{name: "8 of 100 packets are lost", want: cause.LossyNetwork, make: lossy("8")},
		{name: "15 of 100 packets are lost", want: cause.LossyNetwork, make: lossy("15")},
		{name: "delays that vary by 200 ms", want: cause.LossyNetwork, link: &link{delay: 10 * time.Millisecond, jitter: 200 * time.Millisecond}, make: plain},
		{name: "300 ms away", want: cause.FarAway, link: &link{delay: 150 * time.Millisecond}, make: plain},
		{name: "500 ms away, with TLS", want: cause.FarAway, link: &link{delay: 250 * time.Millisecond}, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "mosquitto has too much to do", want: cause.Overloaded, make: func(w *world) []string {
			pulse(w, w.mosquitto(open).pid, 300*time.Millisecond, 20*time.Millisecond)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "large packets vanish (MTU), TLS", want: cause.MTUBlackhole, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			narrow(w)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "large packets vanish (MTU), plain", want: cause.MTUBlackhole, make: func(w *world) []string { narrow(w); return plain(w) }},
		{name: "another client has the same identifier, mosquitto", want: cause.IDTakeoverLoop, make: shared(func(w *world) { w.mosquitto(open) })},
		{name: "another client has the same identifier, Picket", want: cause.IDTakeoverLoop, make: shared(func(w *world) { w.picket(open) })},
		{name: "a proxy closes what is quiet for 4 s", want: cause.LBIdleTimeout, make: proxied(4*time.Second, "8s")},
		{name: "a proxy closes what is quiet for 60 s", long: true, want: cause.ProxyIdle60s, make: proxied(60*time.Second, "70s")},
		{name: "a router forgets what is quiet for 4 s", want: cause.NATIdleTimeout, make: func(w *world) []string {
			w.inside(routerSide, func() error {
				return setAll(map[string]string{"nf_conntrack_tcp_timeout_established": "4", "nf_conntrack_tcp_loose": "0"})
			})
			w.filter(routerSide, "ct state established,related accept", "ct state new tcp flags & (syn | ack) == syn accept", "meta l4proto tcp drop")
			return append(plain(w), "--stay", "8s")
		}},
	}
}

// pulse lets a process work for a while from time to time only, until the test ends.
func pulse(w *world, pid int, rest, work time.Duration) {
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for _, step := range []struct {
				signal syscall.Signal
				wait   time.Duration
			}{{syscall.SIGSTOP, rest}, {syscall.SIGCONT, work}} {
				_ = syscall.Kill(pid, step.signal)
				select {
				case <-stop:
					_ = syscall.Kill(pid, syscall.SIGCONT)
					return
				case <-time.After(step.wait):
				}
			}
		}
	}()
	w.t.Cleanup(func() { close(stop); <-ended })
}
