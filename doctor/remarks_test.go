package doctor

import (
	"strings"
	"testing"
)

// TestRemarks: what works from here and may not for a phone.
func TestRemarks(t *testing.T) {
	leaf := Certificate{Key: "ECDSA P-256", NotBefore: 0, NotAfter: 90 * 86400, Names: []string{"broker.test"}}
	done := Handshake{Result: Done, Version: "TLS 1.3", Chain: []Certificate{leaf}}
	with := func(change func(*Certificate)) Handshake {
		c, h := leaf, done
		change(&c)
		h.Chain = []Certificate{c}
		return h
	}
	for name, test := range map[string]struct {
		facts []Fact
		want  string // of the one remark; empty: none
	}{
		"nothing":                        {[]Fact{done}, ""},
		"TLS 1.2 as well":                {[]Fact{done, Handshake{Variant: WithoutTLS13, Result: Done, Version: "TLS 1.2"}}, ""},
		"TLS 1.3 alone":                  {[]Fact{done, Handshake{Variant: WithoutTLS13, Result: Alerted, Alert: 70}}, "TLS 1.3 alone"},
		"TLS 1.2 with a problem":         {[]Fact{done, Handshake{Variant: WithoutTLS13, Result: WasReset}}, ""},
		"Ed25519":                        {[]Fact{with(func(c *Certificate) { c.Key = "Ed25519" })}, "Ed25519"},
		"RSA 1024":                       {[]Fact{with(func(c *Certificate) { c.Key = "RSA 1024" })}, "RSA 1024"},
		"valid for long":                 {[]Fact{with(func(c *Certificate) { c.NotAfter = 500 * 86400 })}, "398"},
		"a password in the clear":        {[]Fact{Entered{Scheme: "mqtt"}, Address{Class: Public}, Connect{Result: Accepted, User: "ada", Password: true}}, "without TLS"},
		"a password at home":             {[]Fact{Entered{Scheme: "mqtt"}, Address{Class: Private}, Connect{Result: Accepted, User: "ada", Password: true}}, ""},
		"an address of IPv6 and no more": {[]Fact{Lookup{Host: "broker.test", Record: "A", Result: None}, Lookup{Host: "broker.test", Record: "AAAA", Result: Found}}, "IPv6 address only"},
	} {
		got := remarks(test.facts)
		switch {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: %q, want no remark", name, got[0].EN)
		case test.want != "" && (len(got) != 1 || !strings.Contains(got[0].EN, test.want) || got[0].ZH == ""):
			t.Errorf("%s: %v, want one remark with %q", name, got, test.want)
		}
	}
}
