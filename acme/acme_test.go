//go:build unix

package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"picket/cause"
	"picket/internal/testbed"
)

// attempt is how an attempt to get a certificate ended.
type attempt struct {
	until   time.Time
	failure *Failure
}

// start asks an authority for a certificate, and tells of each attempt.
func start(t *testing.T, a *testbed.Authority, c Config) (*Manager, <-chan attempt) {
	t.Helper()
	c.Dir, c.CA, c.Roots = t.TempDir(), a.URL, a.Trust
	if c.HTTPPort == 0 {
		c.HTTPPort, c.TLSPort = a.HTTPPort, a.TLSPort
	}
	m, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	attempts := make(chan attempt, 100)
	err = m.Start(context.Background(), func(_ string, until time.Time) { attempts <- attempt{until: until} }, func(f Failure) { attempts <- attempt{failure: &f} })
	if err != nil {
		t.Fatal(err)
	}
	return m, attempts
}

func await(t *testing.T, attempts <-chan attempt) attempt {
	t.Helper()
	select {
	case a := <-attempts:
		return a
	case <-time.After(time.Minute):
		t.Fatal("nothing came of it within a minute")
		panic("unreachable")
	}
}

// A name and a bare address each get a certificate that those trust who trust the authority, over either port.
func TestCertificate(t *testing.T) {
	authority := testbed.StartAuthority(t, time.Hour, true)
	for _, c := range []struct {
		name   string
		closed func(m *Config) *int // which port something else has
	}{
		{"mqtt.example.com", nil},
		{"127.0.0.1", nil},
		{"127.0.0.1", func(c *Config) *int { return &c.HTTPPort }},
		{"mqtt.example.com", func(c *Config) *int { return &c.TLSPort }},
	} {
		config := Config{Name: c.name, HTTPPort: authority.HTTPPort, TLSPort: authority.TLSPort}
		if c.closed != nil {
			taken, err := net.Listen("tcp", fmt.Sprintf(":%d", *c.closed(&config)))
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
		}
		m, attempts := start(t, authority, config)
		if a := await(t, attempts); a.failure != nil {
			t.Errorf("%s: %v [%s]", c.name, a.failure, a.failure.Cause)
			continue
		}
		pair, err := tls.LoadX509KeyPair(File(m.config.Dir), File(m.config.Dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Leaf.VerifyHostname(c.name); err != nil {
			t.Error(err)
		}
		m.Close()
		if c.closed != nil {
			break // the port stays taken until the test ends
		}
	}
}

// What an authority refuses has the cause that says what to do.
func TestFailures(t *testing.T) {
	authority := testbed.StartAuthority(t, time.Hour, false)
	for name, c := range map[string]struct {
		config Config
		want   cause.ID
	}{
		"no such name":   {Config{Name: "nowhere.example.com"}, cause.ACMENameElsewhere},
		"refused":        {Config{Name: "blocked.example"}, cause.ACMERefused},
		"nobody answers": {Config{Name: "127.0.0.1", HTTPPort: testbed.Port(t), TLSPort: testbed.Port(t)}, cause.ACMEPortClosed},
	} {
		t.Run(name, func(t *testing.T) {
			m, attempts := start(t, authority, c.config)
			defer m.Close()
			if a := await(t, attempts); a.failure == nil || a.failure.Cause != c.want || a.failure.Seen == "" || !a.failure.Until.IsZero() {
				t.Errorf("got %v [%s], want %s", a.failure, a.failure.Cause, c.want)
			}
			if m.issuer.DisableTLSALPNChallenge {
				t.Error("port 443 is not tried after a failure")
			}
		})
	}
	t.Run("no authority", func(t *testing.T) {
		_, attempts := start(t, &testbed.Authority{URL: "https://127.0.0.1:1/dir", Trust: authority.Trust, HTTPPort: testbed.Port(t), TLSPort: testbed.Port(t)}, Config{Name: "127.0.0.1"})
		if a := await(t, attempts); a.failure == nil || a.failure.Cause != cause.ACMEUnreachable {
			t.Errorf("got %+v", a.failure)
		}
	})
	t.Run("ports taken", func(t *testing.T) {
		var ports [2]int
		for i := range ports {
			l, err := net.Listen("tcp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ports[i] = l.Addr().(*net.TCPAddr).Port
		}
		_, err := Open(Config{Name: "mqtt.example.com", HTTPPort: ports[0], TLSPort: ports[1]})
		var f *Failure
		if !errors.As(err, &f) || f.Cause != cause.ACMEPortTaken || !strings.Contains(err.Error(), "mqtt.example.com") {
			t.Errorf("got %v", err)
		}
	})
}

// The authority's words are kept, and the most telling of several problems counts.
func TestExplain(t *testing.T) {
	problem := func(kind string) acme.Problem {
		return acme.Problem{Type: acme.ProblemTypeNamespace + kind, Detail: "words\nof " + kind}
	}
	for kind, want := range problems {
		if f := explain("x", fmt.Errorf("wrapped: %w", problem(kind))); f.Cause != want || !strings.Contains(f.Seen, "words of "+kind) {
			t.Errorf("%s: %+v", kind, f)
		}
	}
	compound := problem("compound")
	compound.Subproblems = []acme.Subproblem{{Problem: problem("caa")}}
	if f := explain("x", compound); f.Cause != cause.ACMECAA || !strings.Contains(f.Seen, "of caa") {
		t.Errorf("compound: %+v", f)
	}
	if f := explain("x", problem("unheardOf")); f.Cause != cause.ACMERefused {
		t.Errorf("unheard of: %+v", f)
	}
}
