package doctor

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"picket/cause"
)

var update = flag.Bool("update", false, "write the reports in testdata anew")

// Targets and what belongs to them.
var (
	named    = Entered{Given: "broker.example.com", URL: "mqtt://broker.example.com:1883", Scheme: "mqtt", Host: "broker.example.com", Port: 1883}
	numbered = Entered{Given: "192.168.7.5", URL: "mqtt://192.168.7.5:1883", Scheme: "mqtt", Host: "192.168.7.5", Port: 1883}
	secured  = Entered{Given: "mqtts://broker.example.com", URL: "mqtts://broker.example.com:8883", Scheme: "mqtts", Host: "broker.example.com", Port: 8883}
	webbed   = Entered{Given: "wss://broker.example.com/mqtt", URL: "wss://broker.example.com:443/mqtt", Scheme: "wss", Host: "broker.example.com", Port: 443, Path: "/mqtt"}
	both     = Client{IPv4: true, IPv6: true, Time: 1_800_000_000}
	four     = Client{IPv4: true, Time: 1_800_000_000}
	a        = Lookup{Host: "broker.example.com", Record: "A", Result: Found, Addresses: []string{"203.0.113.7"}, Ms: 12}
	noA      = Lookup{Host: "broker.example.com", Record: "A", Result: None, Ms: 12}
	noAAAA   = Lookup{Host: "broker.example.com", Record: "AAAA", Result: None, Ms: 12}
	out      = Address{Address: "203.0.113.7", Class: Public}
	inside   = Address{Address: "192.168.7.5", Class: Private, Near: "wlan0"}
	beyond   = Address{Address: "192.168.7.5", Class: Private}
	mine     = Address{Address: "192.168.7.5", Class: Private, Own: true}
)

// way is the usual beginning of the facts.
func way(e Entered, more ...Fact) []Fact { return append([]Fact{e, both}, more...) }

func dial(address string, port int, result string) Dial {
	return Dial{Address: address, Port: port, Purpose: Asked, Result: result, Ms: map[string]Milliseconds{TimedOut: 5000, HostUnreachable: 3000}[result]}
}

func TestDiagnose(t *testing.T) {
	const day = 86400
	now := both.Time
	good := Handshake{Address: "203.0.113.7", Port: 8883, Name: "broker.example.com", Result: Done, Version: "TLS 1.3", Now: now, Chain: []Certificate{
		{Subject: "CN=broker.example.com", Names: []string{"broker.example.com"}, NotBefore: now - day, NotAfter: now + 60*day}}}
	problem := func(p ...string) Handshake {
		h := good
		h.Problems = p
		return h
	}
	failed := func(result string, alert int) Handshake {
		return Handshake{Address: "203.0.113.7", Port: 8883, Name: "broker.example.com", Result: result, Alert: alert}
	}
	variant := func(v, version string) Handshake {
		return Handshake{Address: "203.0.113.7", Port: 8883, Variant: v, Result: Done, Version: version}
	}
	hears := func(port int, said, heard string) Opening { return Opening{Port: port, Said: said, Heard: heard} }
	accepted := func(version string) Connect {
		return Connect{Version: version, ID: RandomID, KeepAlive: 60, Result: Accepted, Ms: 3, ConnectMs: 1}
	}
	refused := func(version string, code int) Connect {
		return Connect{Version: version, ID: RandomID, KeepAlive: 60, Result: Refused, Code: code, Ms: 3, ConnectMs: 1}
	}
	used := func(more ...Fact) []Fact {
		return way(numbered, append([]Fact{inside, dial("192.168.7.5", 1883, Open), accepted("3.1.1"), accepted("5.0"),
			Subscribe{Version: "5.0", Topic: "t", Own: true, Result: Granted, Code: 2}}, more...)...)
	}
	returned := func(qos, size int) Publish {
		return Publish{Version: "5.0", Topic: "t", Own: true, QoS: qos, Size: size, Result: Returned}
	}
	calm := RoundTrips{Sent: 70, Answered: 70, Min: 1, Median: 2, P95: 3, Max: 4, Jitter: 1, Network: 1, Segments: 100}
	idle := func(seconds int, result string, lasted float64) Idle {
		return Idle{Seconds: seconds, Result: result, Lasted: lasted, KeepAlive: 1200, Scheme: "mqtt"}
	}
	secure := func(more ...Fact) []Fact {
		return way(secured, append([]Fact{a, noAAAA, out, dial("203.0.113.7", 8883, Open)}, more...)...)
	}

	for name, c := range map[string]struct {
		facts []Fact
		want  cause.ID // first finding; empty for none
		end   cause.Stage
		also  cause.ID // another finding
	}{
		"nothing is known": {nil, "", "", ""},

		// Names.
		"no such name":            {way(named, noA, noAAAA), cause.DNSMissingOrStale, cause.Name, ""},
		"no answer about it":      {way(named, Lookup{Record: "A", Result: TimedOut}, Lookup{Record: "AAAA", Result: TimedOut}), cause.DNSNoAnswer, cause.Name, ""},
		"no network":              {[]Fact{named, Client{Time: now}, Lookup{Record: "A", Result: Failed}, Lookup{Record: "AAAA", Result: Failed}}, cause.ClientOffline, cause.Name, ""},
		"IPv6 alone, without it":  {[]Fact{named, four, noA, Lookup{Record: "AAAA", Result: Found, Addresses: []string{"2001:db8::7"}}, Address{Address: "2001:db8::7", Class: Public}, dial("2001:db8::7", 1883, NetUnreachable)}, cause.IPv6OnlyServer, cause.TCP, ""},
		"IPv4 literal, IPv6 only": {[]Fact{numbered, Client{IPv6: true, Time: now}, beyond, dial("192.168.7.5", 1883, NetUnreachable)}, cause.IPv6OnlyClient, cause.TCP, ""},
		"listens on IPv4 only": {way(named, a, Lookup{Record: "AAAA", Result: Found}, out, Address{Address: "2001:db8::7", Class: Public}, dial("203.0.113.7", 1883, Open), dial("2001:db8::7", 1883, Refused),
			accepted("3.1.1")), cause.IPv4OnlyListener, "", ""},
		"no IPv6 here":                 {[]Fact{named, four, a, out, dial("203.0.113.7", 1883, Open), dial("2001:db8::7", 1883, NetUnreachable), accepted("3.1.1")}, cause.OpenToEveryone, "", ""},
		"one of two addresses is dead": {way(named, a, out, dial("203.0.113.7", 1883, Open), dial("203.0.113.8", 1883, TimedOut)), cause.DNSMissingOrStale, "", ""},

		// TCP.
		"refused by this machine":         {way(numbered, mine, dial("192.168.7.5", 1883, Refused), Dial{Address: "127.0.0.1", Port: 1883, Purpose: OnLoopback, Result: Refused}), cause.BrokerNotRunning, cause.TCP, ""},
		"open on loopback":                {way(numbered, mine, dial("192.168.7.5", 1883, Refused), Dial{Address: "127.0.0.1", Port: 1883, Purpose: OnLoopback, Result: Open}), cause.LoopbackOnly, cause.TCP, ""},
		"refused from outside, 1883":      {way(numbered, inside, dial("192.168.7.5", 1883, Refused)), cause.LoopbackOnly, cause.TCP, cause.BrokerNotRunning},
		"refused from outside, 8883":      {way(secured, a, out, dial("203.0.113.7", 8883, Refused)), cause.BrokerNotRunning, cause.TCP, cause.NATNoPortForward},
		"the plain port works":            {way(secured, a, out, dial("203.0.113.7", 8883, Refused), Neighbours{Address: "203.0.113.7", Open: []int{1883}}, hears(1883, SayMQTT, HearMQTT)), cause.WrongPort, cause.TCP, cause.KeyUnreadable},
		"rejected by ICMP":                {way(numbered, inside, Dial{Address: "192.168.7.5", Port: 1883, Purpose: Asked, Result: Refused, Rejected: &Rejection{From: "192.168.7.5", Code: 3, Prohibited: true}}), cause.HostFirewallReject, cause.TCP, ""},
		"rejected on the way":             {way(named, a, out, Dial{Address: "203.0.113.7", Port: 1883, Purpose: Asked, Result: HostUnreachable, Rejected: &Rejection{From: "10.0.0.1", Code: 13, Prohibited: true}}), cause.CarrierOrCorpBlocksPort, cause.TCP, ""},
		"unreachable at once, pings":      {way(named, a, out, Dial{Address: "203.0.113.7", Port: 1883, Purpose: Asked, Result: HostUnreachable, Ms: 20}, Ping{Address: "203.0.113.7", Sent: 4, Received: 4}), cause.HostFirewallReject, cause.TCP, ""},
		"unreachable after a while":       {way(numbered, inside, dial("192.168.7.5", 1883, HostUnreachable), Ping{Address: "192.168.7.5", Sent: 4}), cause.HostDown, cause.TCP, ""},
		"silent, allowed ports answer":    {way(named, a, out, dial("203.0.113.7", 1883, TimedOut), Neighbours{Open: []int{22}, Silent: []int{80, 443, 8883}}), cause.SecurityGroupClosed, cause.TCP, cause.HostFirewallDrop},
		"silent, this port alone":         {way(named, a, out, dial("203.0.113.7", 1883, TimedOut), Neighbours{Open: []int{22}, Refused: []int{80, 443, 8883}}), cause.HostFirewallDrop, cause.TCP, cause.SecurityGroupClosed},
		"silent, everything":              {way(named, a, out, dial("203.0.113.7", 1883, TimedOut), Neighbours{Silent: []int{22, 80}}, Ping{Sent: 4}), cause.SecurityGroupClosed, cause.TCP, cause.NoPublicIP},
		"silent, near":                    {way(numbered, inside, dial("192.168.7.5", 1883, TimedOut)), cause.HostFirewallDrop, cause.TCP, ""},
		"silent, private elsewhere":       {way(numbered, beyond, dial("192.168.7.5", 1883, TimedOut), Neighbours{Silent: []int{22}}), cause.PrivateIPUsed, cause.TCP, ""},
		"silent, private, but there":      {way(numbered, beyond, dial("192.168.7.5", 1883, TimedOut), Ping{Sent: 4, Received: 4}), cause.HostFirewallDrop, cause.TCP, ""},
		"silent, a CDN":                   {way(named, a, Address{Address: "104.16.1.1", Class: Public, CDN: "Cloudflare"}, dial("104.16.1.1", 1883, TimedOut), Neighbours{Open: []int{80, 443}}), cause.CDNProxiedDNS, cause.TCP, ""},
		"forbidden by own routing":        {way(named, a, out, Route{Address: "203.0.113.7", Denied: true}, dial("203.0.113.7", 1883, HostUnreachable)), cause.PhoneVPNOrDNS, cause.TCP, ""},
		"no way at all":                   {way(named, a, out, dial("203.0.113.7", 1883, NetUnreachable)), cause.ClientOffline, cause.TCP, ""},
		"a router without a way":          {way(numbered, beyond, Dial{Address: "192.168.7.5", Port: 1883, Purpose: Asked, Result: NetUnreachable, Rejected: &Rejection{From: "10.0.0.1"}}), cause.PrivateIPUsed, cause.TCP, ""},
		"messages come twice":             {used(returned(0, 32), returned(1, 32), Doubled{Messages: 2, Doubled: 2, AtMost: 2}), cause.MessageDoubled, "", ""},
		"another payload":                 {used(Publish{Version: "5.0", Topic: "t", Size: 32, Result: Altered, Came: &Came{Size: new(int)}}), cause.MessageAltered, cause.Use, ""},
		"another topic":                   {used(Publish{Version: "5.0", Topic: "t", Size: 32, Result: Returned, Came: &Came{Topic: "u"}}), cause.MessageAltered, "", ""},
		"gone astray":                     {used(Publish{Version: "5.0", Topic: "t", Size: 32, Result: Swallow}, Astray{Topic: "t", Came: "u"}), cause.MessageAltered, cause.Use, ""},
		"a lower QoS":                     {used(Publish{Version: "5.0", Topic: "t", QoS: 1, Size: 32, Result: Returned, Came: &Came{QoS: new(int)}}), cause.QoSNotSupported, "", cause.MessageAltered},
		"a flag is gone":                  {used(Publish{Version: "5.0", Topic: "t", Size: 32, Retain: true, Result: Returned, Came: &Came{Retain: new(bool)}}), cause.MessageAltered, "", ""},
		"everything is retained":          {used(Publish{Version: "5.0", Topic: "t", Size: 32, Retain: true, Result: Returned, Kept: true}), cause.MessageAltered, "", ""},
		"one of two is lost":              {used(Publish{Version: "5.0", Topic: "t", Size: 32, Result: Swallow, Ms: 5000}, Publish{Version: "5.0", Topic: "t", QoS: 1, Size: 32, Result: Returned, Ms: 2}), cause.MessageLost, "", ""},
		"given up too early":              {used(Publish{Version: "5.0", Topic: "t", Size: 32, Result: Swallow, Ms: 5000}, Publish{Version: "5.0", Topic: "t", QoS: 1, Size: 32, Result: Returned, Ms: 2}, Late{Messages: 1}), cause.Overloaded, "", ""},
		"one connection at a time":        {used(returned(0, 32), Across{Topic: "t", Connections: 1, Alone: TimedOut}), cause.RateLimitOrBan, "", cause.MaxConnections},
		"a mistake, and it is refused":    {[]Fact{Entered{Given: "x", URL: "mqtt://192.168.7.5:1883", Scheme: "mqtt", Host: "192.168.7.5", Port: 1883, Mistakes: []Mistake{FullWidth}}, both, mine, dial("192.168.7.5", 1883, Refused)}, cause.BrokerNotRunning, cause.TCP, cause.AppFormMistake},
		"a mistake, and all is well":      {append([]Fact{Entered{Given: "x", URL: "mqtt://192.168.7.5:1883", Scheme: "mqtt", Host: "192.168.7.5", Port: 1883, Mistakes: []Mistake{Spaces}}}, used(returned(0, 32))[1:]...), cause.AppFormMistake, "", ""},
		"every port is a login page":      {way(named, a, out, dial("203.0.113.7", 1883, Open), Connect{Version: "3.1.1", Result: NotMQTT}, hears(1883, SayMQTT, HearHTTP), hears(8883, SayTLS, HearHTTP), hears(8083, SayHTTP, HearHTTP)), cause.CaptivePortalOrAPIsolation, cause.FirstBytes, ""},
		"a router that hands the port on": {way(named, a, out, Dial{Address: "203.0.113.7", Port: 1883, Purpose: Asked, Result: Refused, ResetTTL: 63}, Ping{Address: "203.0.113.7", Sent: 4, Received: 4, TTL: 64}), cause.BrokerNotRunning, cause.TCP, cause.LoopbackOnly},
		"the name was completed":          {way(named, a, out, Completed{Host: "x.example"}, dial("203.0.113.7", 1883, TimedOut)), cause.DNSMissingOrStale, cause.TCP, ""},
		"another address, another user":   {way(named, a, out, dial("203.0.113.7", 1883, Open), Elsewhere{Here: Opening{Address: "203.0.113.7", Port: 1883, Said: SayLogin, Heard: HearMQTT}, There: Opening{Address: "203.0.113.8", Port: 1883, Said: SayLogin, Heard: HearMQTT, Status: 5}}), cause.BadCredentials, "", ""},
		"every name leads to a portal": {way(named, a, Address{Address: "192.168.7.1", Class: Private, Near: "wlan0"}, dial("192.168.7.1", 1883, Refused), Opening{Address: "192.168.7.1", Port: 80, Said: SayHTTP, Heard: HearHTTP, Status: 302},
			AnyName{Host: "doctor1.example.com", Address: "192.168.7.1"}), cause.CaptivePortalOrAPIsolation, cause.TCP, cause.DNSMissingOrStale},

		// TLS.
		"certificate is good":          {secure(good, accepted("3.1.1")), cause.OpenToEveryone, "", ""},
		"unknown authority":            {secure(problem(UnknownCA)), cause.TLSUnknownCA, cause.TLS, ""},
		"two problems":                 {secure(problem(WrongName, SelfSigned)), cause.TLSUnknownCA, cause.TLS, cause.TLSNameMismatch},
		"expired":                      {secure(problem(Expired)), cause.TLSExpired, cause.TLS, ""},
		"expired, says a wrong clock":  {secure(problem(Expired), Clock{Time: now - 400*day, Local: now}), cause.ClockSkew, cause.TLS, ""},
		"not yet, says 1970":           {[]Fact{secured, Client{IPv4: true, Time: 100, Built: now}, a, out, dial("203.0.113.7", 8883, Open), problem(NotYet)}, cause.ClockSkew, cause.TLS, ""},
		"not yet":                      {secure(problem(NotYet)), cause.TLSNotYetValid, cause.TLS, cause.ClockSkew},
		"no check is wanted":           {secure(func() Handshake { h := problem(Expired); h.Insecure = true; return h }(), accepted("5.0")), cause.OpenToEveryone, "", ""},
		"old versions alone":           {secure(failed(Alerted, 70), variant(OldTLS, "TLS 1.1")), cause.TLSVersion, cause.TLS, ""},
		"version, and nothing helps":   {secure(failed(Alerted, 70)), cause.TLSVersion, cause.TLS, ""},
		"an alert for those who err":   {secure(failed(Alerted, 70), hears(8883, SayMQTT, HearMQTT), hears(8883, SayTLS, HearAlert)), cause.TLSToPlainPort, cause.FirstBytes, ""},
		"weak suites alone":            {secure(failed(Alerted, 40), variant(AllCiphers, "TLS 1.2")), cause.TLSCiphers, cause.TLS, ""},
		"a certificate is wanted":      {secure(func() Handshake { h := failed(Alerted, 40); h.Wanted = true; return h }()), cause.ClientCertRequired, cause.TLS, ""},
		"a certificate was revoked":    {secure(func() Handshake { h := failed(Alerted, 44); h.Wanted, h.Given = true, true; return h }()), cause.ClientCertRevoked, cause.TLS, ""},
		"an alert, lost at first":      {secure(func() Handshake { h := good; h.Wanted, h.Given = true, true; return h }(), Connect{Version: "3.1.1", Result: WasReset}, Connect{Version: "3.1.1", Trial: true, Result: Alerted, Alert: 44}), cause.ClientCertRevoked, cause.TLS, ""},
		"a certificate, after TLS 1.3": {secure(func() Handshake { h := good; h.Wanted = true; return h }(), Connect{Version: "3.1.1", Result: Alerted, Alert: 116}), cause.ClientCertRequired, cause.TLS, ""},
		"unrecognized name":            {secure(failed(Alerted, 112)), cause.SNIALPN, cause.TLS, ""},
		"silence, but not in small":    {secure(failed(TimedOut, 0), variant(SmallTLS, "TLS 1.3")), cause.MTUBlackhole, cause.TLS, ""},
		"cut off at the name":          {secure(failed(WasReset, 0), variant(NoName, "TLS 1.3")), cause.ICPSNIBlock, cause.TLS, ""},
		"ends without a word":          {secure(failed(WasClosed, 0), hears(8883, SayNothing, HearSilence), hears(8883, SayTLS, HearClosed)), cause.TLSHandshakeFailed, cause.TLS, ""},
		"closed before a word":         {secure(failed(WasClosed, 0), hears(8883, SayNothing, HearClosed), hears(8883, SayTLS, HearClosed)), cause.MaxConnections, cause.FirstBytes, ""},

		// WebSocket.
		"wss: path":          {way(webbed, a, out, dial("203.0.113.7", 443, Open), Upgrade{Path: "/mqtt", Result: Answered, Status: 404}, Upgrade{Path: "/ws", Variant: OtherPath, Result: Upgraded, Subprotocol: "mqtt"}), cause.WSPath, cause.Upgrade, ""},
		"wss: 503":           {way(webbed, a, out, dial("203.0.113.7", 443, Open), Upgrade{Path: "/mqtt", Result: Answered, Status: 503}), cause.BrokerNotRunning, cause.Upgrade, ""},
		"wss: said in words": {way(webbed, a, out, dial("203.0.113.7", 443, Open), Upgrade{Path: "/mqtt", Result: Answered, Status: 403, Body: "ws-origin: the page's origin is not allowed"}), cause.WSOrigin, cause.Upgrade, ""},
		"wss: HTTP/2":        {way(webbed, a, out, dial("203.0.113.7", 443, Open), Upgrade{Path: "/mqtt", Result: NotHTTP, Bytes: "HTTP/2"}), cause.H2ALPN, cause.Upgrade, ""},

		// CONNECT.
		"maintenance, in words":     {way(numbered, inside, dial("192.168.7.5", 1883, Open), refused("3.1.1", 3), Connect{Version: "5.0", Result: Refused, Code: 0x88, Reason: "maintenance: until 06:00", ReasonID: cause.Maintenance}), cause.Maintenance, cause.Connect, ""},
		"the wrong port, in words":  {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "5.0", Result: Refused, Code: 0x88, Reason: "plain-to-tls-port: use TLS", ReasonID: cause.PlainToTLSPort}), cause.PlainToTLSPort, cause.FirstBytes, ""},
		"unavailable":               {way(numbered, inside, dial("192.168.7.5", 1883, Open), refused("3.1.1", 3)), cause.Maintenance, cause.Connect, cause.ServerFull},
		"unavailable after a while": {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", Result: Refused, Code: 3, Ms: 6000, ConnectMs: 1}), cause.AuthBackendDown, cause.Connect, ""},
		"unavailable, TLS is there": {way(numbered, inside, dial("192.168.7.5", 1883, Open), refused("3.1.1", 3), Opening{Port: 1883, Said: SayMQTT, Heard: HearMQTT, Status: 3}, hears(1883, SayTLS, HearTLS), hears(1883, SayTLSThen+SayMQTT, HearMQTT)), cause.PlainToTLSPort, cause.FirstBytes, ""},
		"wrong password":            {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", User: "picket", Result: Refused, Code: 5}), cause.BadCredentials, cause.Connect, ""},
		"wrong password, slowly":    {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", User: "picket", Result: Refused, Code: 5, Ms: 6000, ConnectMs: 1}), cause.AuthBackendDown, cause.Connect, cause.BadCredentials},
		"identifier":                {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", ID: GivenID, Result: Refused, Code: 5}, Connect{Version: "3.1.1", ID: RandomID, Trial: true, Result: Accepted}), cause.ClientIDPrefix, cause.Connect, ""},
		"3.1.1 is refused":          {way(numbered, inside, dial("192.168.7.5", 1883, Open), refused("3.1.1", 1), accepted("5.0")), cause.ProtocolVersion, "", ""},
		"3.1 is refused":            {way(numbered, inside, dial("192.168.7.5", 1883, Open), accepted("3.1.1"), accepted("5.0"), refused("3.1", 1)), "", "", ""},
		"a slow login":              {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", Result: Accepted, Ms: 4000, ConnectMs: 2}), cause.Overloaded, "", ""},
		"Redis waits for a line":    {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", Result: TimedOut}, hears(1883, SayMQTT, HearSilence), hears(1883, SayHTTP, HearClosed), Opening{Port: 1883, Said: SayProxyV1, Heard: HearOther, Name: "Redis"}), cause.PortTaken, cause.FirstBytes, ""},
		"a slow login, here busy":   {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", Result: Accepted, Ms: 2900, ConnectMs: 2, Busy: 55}), "", "", ""},
		"silence after CONNECT":     {way(numbered, inside, dial("192.168.7.5", 1883, Open), Connect{Version: "3.1.1", Result: TimedOut}, hears(1883, SayNothing, HearSilence), hears(1883, SayMQTT, HearSilence)), cause.BrokerSilent, cause.FirstBytes, ""},

		// Use.
		"all is well":                {used(returned(0, 32), returned(1, 32), returned(2, 32), returned(1, 65536), calm), "", "", ""},
		"subscription is refused":    {append(used()[:6:6], Subscribe{Version: "5.0", Topic: "t", Own: true, Result: Denied, Code: 0x87}), cause.ACLSubscribeDenied, cause.Use, ""},
		"publishing is refused":      {used(Publish{Version: "5.0", Topic: "t", QoS: 1, Size: 32, Result: Denied, Code: 0x87}), cause.ACLPublishDenied, cause.Use, ""},
		"refused, in Picket's words": {used(Publish{Version: "5.0", Topic: "t", QoS: 1, Size: 32, Result: Denied, Code: 0x97, Reason: "queue-full: x", ReasonID: cause.QueueFull}), cause.QueueFull, cause.Use, ""},
		"swallowed":                  {used(Publish{Topic: "t", QoS: 1, Size: 32, Result: Swallow}, calm), cause.ACLSilent, cause.Use, ""},
		"swallowed by a bad network": {used(Publish{Topic: "t", QoS: 0, Size: 32, Result: Swallow}, RoundTrips{Sent: 70, Answered: 60, Segments: 100, Retransmitted: 20}), cause.LossyNetwork, "", ""},
		"too large, in words":        {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: Lost}, Ended{During: "use", How: Disconnected, Code: 0x95}), cause.PacketTooLarge, "", ""},
		"too large, announced":       {used(Announced{MaximumPacketSize: ptr(2000)}, returned(1, 32), Publish{QoS: 1, Size: 4096, Result: Unsent}), cause.PacketTooLarge, "", ""},
		"too large, thrown away":     {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: Swallow}), cause.PayloadTooLarge, "", ""},
		"large ones vanish":          {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: TimedOut, Sent: 4100}, Publish{QoS: 1, Size: 4096, Result: Returned, Small: true}, Publish{QoS: 1, Size: 4096, Result: TimedOut, Sent: 4100}, RoundTrips{Sent: 70, Answered: 70, Segments: 90}), cause.MTUBlackhole, "", ""},
		"large ones are lost, too":   {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: TimedOut, Sent: 4100}, RoundTrips{Sent: 70, Answered: 70, Segments: 90, Retransmitted: 9}), cause.LossyNetwork, "", ""},
		"large ones were slow once":  {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: TimedOut, Sent: 4100}, Publish{QoS: 1, Size: 4096, Result: Returned, Small: true}, returned(1, 4096), RoundTrips{Sent: 70, Answered: 70, Segments: 90}), "", "", ""},
		"large ones do not arrive":   {used(returned(1, 32), Publish{QoS: 1, Size: 4096, Result: TimedOut, Sent: 4100}), cause.MTUBlackhole, "", ""},
		"no retained messages":       {used(returned(1, 32), Announced{Retain: ptr(false)}, Publish{QoS: 1, Size: 32, Retain: true, Result: Unsent}), cause.RetainNotSupported, "", ""},
		"QoS 2 is not there":         {used(returned(1, 32), Publish{QoS: 2, Size: 32, Result: Unsent}), cause.QoSNotSupported, "", ""},
		"thrown out during use":      {used(Publish{QoS: 1, Size: 32, Result: Lost}, Ended{During: "use", How: Disconnected, Code: 0x98, Reason: "maintenance: a new disk", ReasonID: cause.Maintenance}), cause.Maintenance, cause.Use, ""},
		"cut off during use":         {used(Publish{QoS: 1, Size: 32, Own: true, Result: Lost}, Ended{During: "use", How: WasClosed}), cause.ACLPublishDenied, cause.Use, ""},

		// Staying.
		"this machine wakes it late":   {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 1, Median: 130, Max: 400, Jitter: 60, Late: 9, Network: 1, Segments: 90, Variation: 80, Busy: 25}), "", "", ""},
		"far away":                     {used(returned(0, 32), RoundTrips{Sent: 50, Answered: 50, Min: 240, Median: 245, Max: 260, Jitter: 4, Network: 238, Segments: 60}), cause.FarAway, "", ""},
		"far away, nothing known":      {used(returned(0, 32), RoundTrips{Sent: 50, Answered: 50, Min: 240, Median: 245, Max: 260, Jitter: 4}), cause.FarAway, "", ""},
		"packets are lost":             {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 10, Median: 12, Max: 230, Jitter: 20, Network: 9, Late: 3, Segments: 100, OutOfOrder: 4}), cause.LossyNetwork, "", ""},
		"one packet is lost":           {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 10, Median: 12, Max: 230, Jitter: 8, Network: 9, Segments: 100, Retransmitted: 1}), "", "", ""},
		"the times scatter":            {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 20, Median: 120, Max: 400, Jitter: 90, Network: 20, Variation: 60, Segments: 100}), cause.LossyNetwork, "", ""},
		"the times scatter, far away":  {used(returned(0, 32), RoundTrips{Sent: 50, Answered: 50, Min: 168, Median: 286, P95: 380, Max: 390, Jitter: 50, Network: 120, Variation: 50, Segments: 100}), cause.LossyNetwork, "", ""},
		"this machine is busy":         {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 1, Median: 5, Max: 400, Jitter: 60, Network: 1, Variation: 2, Late: 4, Segments: 100}), "", "", ""},
		"the times scatter, busy here": {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 24, Median: 220, P95: 350, Max: 400, Jitter: 90, Network: 22, Variation: 70, Busy: 30, Segments: 100}), cause.LossyNetwork, "", ""},
		"the broker is slow":           {used(returned(0, 32), RoundTrips{Sent: 70, Answered: 70, Min: 200, Median: 400, Max: 900, Jitter: 60, Network: 3, Variation: 1, Segments: 100}), cause.Overloaded, "", ""},
		"somebody else has the name":   {used(returned(0, 32), calm, Ended{During: "takeover", How: Disconnected, Code: 0x8E}, Takeover{ID: "x", Held: 8, Times: 3, Random: true}), cause.IDTakeoverLoop, cause.Stay, ""},
		"nobody else has the name":     {used(returned(0, 32), calm, Takeover{ID: "x", Held: 8, Random: true}), "", "", ""},
		"idle: a minute":               {used(calm, idle(30, Alive, 30), idle(70, WasClosed, 60.2)), cause.ProxyIdle60s, cause.Stay, cause.LBIdleTimeout},
		"idle: Cloudflare":             {used(calm, idle(30, Alive, 30), idle(150, WasClosed, 100.4)), cause.LBIdleTimeout, cause.Stay, ""},
		"idle: a number of its own":    {used(calm, idle(30, Alive, 30), idle(150, WasReset, 133)), cause.LBIdleTimeout, cause.Stay, ""},
		"idle: forgotten":              {used(calm, idle(30, Alive, 30), idle(150, TimedOut, 150)), cause.NATIdleTimeout, cause.Stay, ""},
		"idle: forgotten, then reset":  {used(calm, idle(30, Alive, 30), Idle{Seconds: 150, Result: WasReset, Lasted: 150, Spoke: true}), cause.NATIdleTimeout, cause.Stay, ""},
		"idle: libwebsockets":          {way(webbed, a, out, dial("203.0.113.7", 443, Open), Connect{Version: "3.1.1", User: "picket", Result: Accepted}, idle(310, WasClosed, 301)), cause.WSPingUnanswered, cause.Stay, ""},
		"idle: not tested":             {used(calm, idle(310, Untested, 0)), "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			findings, end := Diagnose(c.facts)
			var first cause.ID
			if len(findings) > 0 {
				first = findings[0].Cause
			}
			if first != c.want || end != c.end {
				t.Errorf("got %v at %q, want %q at %q", causes(findings), end, c.want, c.end)
			}
			if c.also != "" && !slices.Contains(causes(findings), c.also) {
				t.Errorf("%s is not among %v", c.also, causes(findings))
			}
			report := Report{Facts: c.facts, Findings: findings, Way: true, End: end}
			for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
				if _, err := report.JSON(lang); err != nil {
					t.Error(err)
				}
				show(t, &report, Style{Lang: lang})
			}
			for _, f := range findings {
				for _, i := range f.Evidence {
					if i < 0 || i >= len(c.facts) {
						t.Errorf("%s names fact %d of %d", f.Cause, i, len(c.facts))
					}
				}
				if (f.Meaning.EN == "") != (f.Meaning.ZH == "") {
					t.Errorf("%s has a meaning in one language: %q", f.Cause, f.Meaning)
				}
				if f.Fit < 1 || f.Fit > 100 {
					t.Errorf("%s fits by %d", f.Cause, f.Fit)
				}
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// Reports as people see them, on a phone's terminal of 60 columns; go test ./doctor -update writes them anew.
func TestReportsInFull(t *testing.T) {
	reports := map[string]*Report{
		"silent": NewReport(Target{Scheme: "mqtt", Host: "broker.example.com", Port: 1883}, way(named, a, noAAAA, out, dial("203.0.113.7", 1883, TimedOut),
			Ping{Address: "203.0.113.7", Sent: 4, Received: 4, Median: 31, Bytes: 56}, Neighbours{Address: "203.0.113.7", Open: []int{22}, Silent: []int{80, 443, 8883, 8083, 8084, 9001}})),
		"password": NewReport(Target{Scheme: "mqtt", Host: "192.168.7.5", Port: 1883}, way(numbered, inside, dial("192.168.7.5", 1883, Open),
			Connect{Version: "3.1.1", ID: RandomID, User: "picket", Password: true, KeepAlive: 60, Result: Refused, Code: 5, Ms: 4, ConnectMs: 2},
			Connect{Version: "5.0", ID: RandomID, User: "picket", Password: true, KeepAlive: 60, Result: Refused, Code: 0x87, Ms: 3, ConnectMs: 2},
			Connect{Version: "3.1", ID: RandomID, User: "picket", Password: true, KeepAlive: 60, Result: Refused, Code: 5, Ms: 3, ConnectMs: 2})),
		"healthy": NewReport(Target{Scheme: "ws", Host: "192.168.7.5", Port: 8083, Path: "/mqtt"}, way(numbered, inside, dial("192.168.7.5", 1883, Open))),
	}
	for name, r := range reports {
		for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
			file := filepath.Join("testdata", name+"."+lang.String()+".txt")
			got := show(t, r, Style{Lang: lang, Width: 60})
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is not what the report looks like now; if it should be, go test ./doctor -update. It is\n%s", file, got)
			}
		}
	}
}

func FuzzRecognize(f *testing.F) {
	for _, seed := range []string{"", "SSH-2.0-x", "HTTP/1.1 301 Moved\r\nLocation: https://x\r\n\r\n", "\x20\x02\x00\x05", "\x15\x03\x01\x00\x02\x02\x46", "-ERR x", "\x00\x00\x12\x04\x00", "HTTP/9 99999999999 \x1b[31m"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := Recognize(b)
		for _, text := range []string{o.Text().EN, o.Text().ZH, o.Where} {
			for _, r := range text {
				if r < 0x20 || r == 0x7F {
					t.Fatalf("%q became %q, which disturbs a terminal", b, text)
				}
			}
		}
		if o.Status < 0 || o.Status > 999 {
			t.Fatalf("%q has the status %d", b, o.Status)
		}
	})
}

func TestMisspelt(t *testing.T) {
	for _, one := range []struct {
		typed, meant string
		is           bool
	}{
		{"129.168", "192.168", true}, {"192.186", "192.168", true}, {"191.168", "192.168", true}, {"92.168", "192.168", true}, {"1192.168", "192.168", true},
		{"192.168", "192.168", false}, {"203.0", "192.168", false}, {"219.168", "192.168", false}, {"10.1", "10.0", true},
	} {
		if is := misspelt(one.typed, one.meant); is != one.is {
			t.Errorf("%s for %s: %v", one.typed, one.meant, is)
		}
	}
}
