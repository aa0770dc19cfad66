//go:build linux

package lab

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"picket/cause"
)

// secured is a mosquitto or Picket listener with the certificate "server".
const secured = "certfile {dir}/server.crt\nkeyfile {dir}/server.key\n"

// byName is a TLS or WebSocket URL with the server's name, and the authority to trust.
func (w *world) byName(scheme string, port int, path string) []string {
	w.t.Helper()
	w.names(map[string][]string{host: {server4, server6}})
	return []string{fmt.Sprintf("%s://%s:%d%s", scheme, host, port, path), "--ca", w.path("ca.crt")}
}

// good gives the server a certificate that nothing is wrong with.
func (w *world) good() {
	w.t.Helper()
	w.certificates("server", issue(w.t, garden.get(w.t), nil))
}

func byteFaults() []fault {
	const webSocket = "protocol websockets\n"
	onPort := func(port int, extra, scheme, path string) func(*world) []string {
		return func(w *world) []string {
			w.good()
			w.mosquitto(fmt.Sprintf("listener %d\nallow_anonymous true\n%s", port, extra))
			return w.byName(scheme, port, path)
		}
	}
	onPicket := func(extra, scheme, path string) func(*world) []string {
		return func(w *world) []string {
			w.good()
			w.picket("listener 1883\nallow_anonymous true\n" + extra)
			return w.byName(scheme, 1883, path)
		}
	}
	return []fault{
		{name: "mqtt:// to mosquitto's TLS port", want: cause.PlainToTLSPort, make: onPort(8883, secured, "mqtt", "")},
		{name: "mqtts:// to mosquitto's plain port", want: cause.TLSToPlainPort, make: onPort(1883, "", "mqtts", "")},
		{name: "mqtt:// to mosquitto's WebSocket port", want: cause.TCPToWSPort, make: onPort(9001, webSocket, "mqtt", "")},
		{name: "ws:// to mosquitto's plain port", want: cause.WSToTCPPort, make: onPort(1883, "", "ws", "/mqtt")},
		{name: "wss:// to mosquitto's plain WebSocket port", want: cause.TLSToPlainPort, make: onPort(9001, webSocket, "wss", "/mqtt")},
		{name: "ws:// to mosquitto's WebSocket port with TLS", want: cause.PlainToTLSPort, make: onPort(8083, webSocket+secured, "ws", "/mqtt")},
		{name: "mqtts:// to mosquitto's WebSocket port with TLS", want: cause.TCPToWSPort, make: onPort(8083, webSocket+secured, "mqtts", "")},
		{name: "wss:// to mosquitto's MQTT port with TLS", want: cause.WSToTCPPort, make: onPort(8883, secured, "wss", "/mqtt")},
		{name: "mqtt:// to Picket's TLS port", want: cause.PlainToTLSPort, make: onPicket(secured, "mqtt", "")},
		{name: "mqtts:// to Picket's plain port", want: cause.TLSToPlainPort, make: onPicket("", "mqtts", "")},
		{name: "mqtt:// to Picket's WebSocket port", want: cause.TCPToWSPort, make: onPicket(webSocket, "mqtt", "")},
		{name: "ws:// to Picket's plain port", want: cause.WSToTCPPort, make: onPicket("", "ws", "/mqtt")},
		{name: "Redis on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.start(serverSide, []int{1883}, "redis-server", "--port", "1883", "--bind", server4, "--protected-mode", "no", "--save", "", "--dir", w.dir)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "SSH on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.listen(serverSide, server4+":1883", says("SSH-2.0-OpenSSH_9.2\r\n"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a web server on the port", want: cause.PortTaken, make: func(w *world) []string {
			w.web(server4+":1883", answers(http.StatusOK, "<html>"), nil)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "the login page of a Wi-Fi answers for every server", want: cause.CaptivePortalOrAPIsolation, make: func(w *world) []string {
			w.mosquitto(open)
			w.listen(routerSide, gateway4+":8000", says("HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n"))
			w.nft(routerSide, "table ip lab {\n chain lab {\n  type nat hook prerouting priority -100;\n  iifname lan tcp dport != 53 redirect to :8000\n }\n}\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Picket expects a PROXY header", want: cause.ProxyProtocolMismatch, make: func(w *world) []string {
			w.picket("listener 1883\nallow_anonymous true\nproxy_from 0.0.0.0/0\n")
			return []string{url4("mqtt", 1883)}
		}},
		{name: "a balancer in front of mosquitto expects a PROXY header", want: cause.ProxyProtocolMismatch, make: func(w *world) []string {
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			w.listen(serverSide, server4+":1883", w.expectsProxyHeader("127.0.0.1:1884"))
			return []string{url4("mqtt", 1883)}
		}},
		{name: "mosquitto hangs", want: cause.BrokerSilent, make: func(w *world) []string {
			stop(w, w.mosquitto(open).pid)
			return []string{url4("mqtt", 1883)}
		}},
		{name: "Picket hangs, with TLS", want: cause.BrokerSilent, make: func(w *world) []string {
			w.good()
			stop(w, w.picket("listener 8883\nallow_anonymous true\n"+secured).pid)
			return w.byName("mqtts", 8883, "")
		}},
	}
}

// stop halts a process until the test ends.
func stop(w *world, pid int) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

// mutual is a mosquitto that demands client certificates.
func mutual(w *world, more string) []string {
	w.good()
	w.mosquitto("listener 8883\ncafile {dir}/ca.crt\nrequire_certificate true\nuse_identity_as_username true\n" + secured + more)
	return w.byName("mqtts", 8883, "")
}

func tlsFaults() []fault {
	const day = 24 * time.Hour
	// presented is a mosquitto with a certificate; chain makes it.
	presented := func(chain func(w *world, root *authority) []*authority, more string) func(*world) []string {
		return func(w *world) []string {
			w.certificates("server", chain(w, garden.get(w.t))...)
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured + more)
			return w.byName("mqtts", 8883, "")
		}
	}
	// limited is a mosquitto whose OpenSSL knows nothing newer than a version; mosquitto itself bounds versions from below alone.
	limited := func(highest, more string) func(*world) []string {
		return func(w *world) []string {
			w.good()
			w.mosquittoWith("listener 8883\nallow_anonymous true\n"+secured+more, "openssl_conf = lab\n[lab]\nssl_conf = modules\n[modules]\nsystem_default = defaults\n[defaults]\n"+
				"MinProtocol = TLSv1\nMaxProtocol = "+highest+"\nCipherString = DEFAULT@SECLEVEL=0\n")
			return w.byName("mqtts", 8883, "")
		}
	}
	one := func(change func(*x509.Certificate)) func(*world, *authority) []*authority {
		return func(w *world, root *authority) []*authority { return []*authority{issue(w.t, root, change)} }
	}
	asClient := func(certificate func(w *world) *authority, more func(w *world) string) func(*world) []string {
		return func(w *world) []string {
			c := certificate(w)
			w.certificates("client", c)
			extra := ""
			if more != nil {
				extra = more(w)
			}
			return append(mutual(w, extra), "--cert", w.path("client.crt"), "--key", w.path("client.key"))
		}
	}
	return []fault{
		{name: "the certificate has expired", want: cause.TLSExpired, make: presented(one(dated(-90*day, -3*day)), "")},
		{name: "the certificate is not valid yet", want: cause.TLSNotYetValid, make: presented(one(dated(2*day, 90*day)), "")},
		{name: "the certificate is for another name", want: cause.TLSNameMismatch, make: presented(one(func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }), "")},
		{name: "the certificate has a common name alone", want: cause.TLSNameMismatch, make: presented(one(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }), "")},
		{name: "the certificate is for a name, the client uses the address", want: cause.TLSNameMismatch, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), func(c *x509.Certificate) { c.IPAddresses = nil }))
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return []string{url4("mqtts", 8883), "--ca", w.path("ca.crt")}
		}},
		{name: "the certificate is of an unknown authority", want: cause.TLSUnknownCA, make: presented(func(w *world, _ *authority) []*authority {
			return []*authority{issue(w.t, stranger.get(w.t), nil)}
		}, "")},
		{name: "the certificate is of a private authority, which the client lacks", want: cause.TLSUnknownCA, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			return w.byName("mqtts", 8883, "")[:1]
		}},
		{name: "the certificate is self-signed", want: cause.TLSUnknownCA, make: presented(func(w *world, _ *authority) []*authority { return []*authority{issue(w.t, nil, nil)} }, "")},
		{name: "the intermediate certificate is missing", want: cause.TLSIncompleteChain, make: presented(func(w *world, root *authority) []*authority {
			return []*authority{issue(w.t, ca(w.t, root, "Garden Intermediate"), nil)}
		}, "")},
		{name: "the certificate is for clients", want: cause.TLSClientRejectedCertificate, make: presented(one(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "")},
		{name: "the certificate ends in three days", want: cause.TLSExpiresSoon, make: presented(one(dated(-90*day, 3*day)), "")},
		{name: "TLS 1.1 alone", want: cause.TLSVersion, make: limited("TLSv1.1", "tls_version tlsv1.1\nciphers DEFAULT@SECLEVEL=0\n")},
		{name: "weak ciphers alone", want: cause.TLSCiphers, make: limited("TLSv1.2", "tls_version tlsv1.2\nciphers AES128-SHA256\n")},
		{name: "a client certificate is demanded (TLS 1.3)", want: cause.ClientCertRequired, make: func(w *world) []string { return mutual(w, "") }},
		{name: "a client certificate is demanded (TLS 1.2)", want: cause.ClientCertRequired, make: func(w *world) []string { return mutual(w, "tls_version tlsv1.2\n") }},
		{name: "a client certificate is demanded by Picket", want: cause.ClientCertRequired, make: func(w *world) []string {
			w.good()
			w.picket("listener 8883\ncafile {dir}/ca.crt\nrequire_certificate true\n" + secured)
			return w.byName("mqtts", 8883, "")
		}},
		{name: "the client certificate is of a stranger", want: cause.ClientCertRefused, make: asClient(func(w *world) *authority { return issue(w.t, stranger.get(w.t), forClients) }, nil)},
		{name: "the client certificate has expired", want: cause.ClientCertRefused, make: asClient(func(w *world) *authority {
			return issue(w.t, garden.get(w.t), func(c *x509.Certificate) { forClients(c); dated(-90*day, -3*day)(c) })
		}, nil)},
		{name: "the client certificate is revoked", want: cause.ClientCertRevoked, make: func(w *world) []string {
			c := issue(w.t, garden.get(w.t), forClients)
			return asClient(func(*world) *authority { return c }, func(w *world) string {
				w.file("revoked.pem", revoked(w.t, garden.get(w.t), c))
				return "crlfile {dir}/revoked.pem\n"
			})(w)
		}},
		{name: "the client's clock is 100 days ahead", want: cause.ClockSkew, make: func(w *world) []string {
			// The clock of one process cannot be set; so the server lives in the past, with its certificate.
			w.certificates("server", issue(w.t, garden.get(w.t), dated(-190*day, -50*day)))
			past := time.Now().Add(-100 * day).UTC().Format(http.TimeFormat)
			w.web(":443", answers(http.StatusNotFound, "", "Date", past), serverConfig(issue(w.t, garden.get(w.t), dated(-190*day, -50*day))))
			return w.byName("wss", 443, "/mqtt")
		}},
		{name: "something on the way cuts off TLS that names the server", want: cause.ICPSNIBlock, make: func(w *world) []string {
			w.good()
			w.mosquitto("listener 8883\nallow_anonymous true\n" + secured)
			w.listen(routerSide, gateway4+":8883", w.cutsOffName(server4+":8883", host))
			w.nft(routerSide, "table ip lab {\n chain lab {\n  type nat hook prerouting priority -100;\n  iifname lan tcp dport 8883 redirect to :8883\n }\n}\n")
			return w.byName("mqtts", 8883, "")
		}},
		{name: "a balancer wants to be told the protocol (ALPN)", want: cause.SNIALPN, make: func(w *world) []string {
			w.certificates("server", issue(w.t, garden.get(w.t), nil))
			w.mosquitto("listener 1884 127.0.0.1\nallow_anonymous true\n")
			config := serverConfig(issue(w.t, garden.get(w.t), nil))
			config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if len(hello.SupportedProtos) == 0 {
					return nil, fmt.Errorf("no protocol is named")
				}
				return nil, nil
			}
			w.listen(serverSide, ":443", w.withTLS(config, "127.0.0.1:1884"))
			return w.byName("mqtts", 443, "")
		}},
	}
}

func upgradeFaults() []fault {
	// behind is a web server in front of mosquitto's WebSocket port.
	behind := func(path string, handler func(w *world) http.Handler, more ...string) func(*world) []string {
		return func(w *world) []string {
			w.mosquitto("listener 9001 127.0.0.1\nprotocol websockets\nallow_anonymous true\n")
			w.web(":80", handler(w), nil)
			return append([]string{url4("ws", 80) + path}, more...)
		}
	}
	const backend = "127.0.0.1:9001"
	return []fault{
		{name: "a proxy has the broker at another path", want: cause.WSPath, make: behind("/", func(w *world) http.Handler { return onPath("/mqtt", w.reverseProxy(backend, true)) })},
		{name: "a web server without a broker", want: cause.WSPath, make: behind("/mqtt", func(*world) http.Handler { return http.NotFoundHandler() })},
		{name: "a proxy in front of mosquitto does not pass Upgrade on", want: cause.ProxyNoUpgrade, twin: cause.BrokerNotRunning, make: behind("/mqtt", func(w *world) http.Handler { return w.reverseProxy(backend, false) })},
		{name: "a proxy in front of Picket does not pass Upgrade on", want: cause.ProxyNoUpgrade, make: func(w *world) []string {
			w.picket("listener 9001 127.0.0.1\nprotocol websockets\nallow_anonymous true\n")
			w.web(":80", w.reverseProxy(backend, false), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "a proxy without the broker behind it", want: cause.BrokerNotRunning, make: func(w *world) []string {
			w.web(":80", w.reverseProxy(backend, true), nil)
			return []string{url4("ws", 80) + "/mqtt"}
		}},
		{name: "a proxy that takes one page's origin only", want: cause.WSOrigin, make: behind("/mqtt", func(w *world) http.Handler {
			proxy := w.reverseProxy(backend, true)
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if o := r.Header.Get("Origin"); o != "" && o != "http://"+server4 {
					http.Error(rw, "origin", http.StatusForbidden)
					return
				}
				proxy.ServeHTTP(rw, r)
			})
		}, "--origin", "https://page.example")},
		{name: "a proxy that sends everybody to https", want: cause.PlainToTLSPort, make: behind("/mqtt", func(*world) http.Handler {
			return answers(http.StatusMovedPermanently, "", "Location", "https://"+host+"/mqtt")
		})},
		{name: "a WebSocket for something else than MQTT", want: cause.WSSubprotocol, make: behind("/mqtt", func(*world) http.Handler {
			return answers(http.StatusSwitchingProtocols, "", "Upgrade", "websocket", "Connection", "Upgrade")
		})},
		{name: "a server that speaks HTTP/2 only", want: cause.H2ALPN, make: func(w *world) []string {
			w.good()
			config := serverConfig(issue(w.t, garden.get(w.t), nil))
			config.NextProtos = []string{"h2"}
			w.web(":443", nil, config)
			return w.byName("wss", 443, "/mqtt")
		}},
	}
}
