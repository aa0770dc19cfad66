package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"picket/cause"
	"picket/login"
	"picket/token"
)

// A stream ends when the time of its token or of its login is over, or nobody has used the login for long, and not before.
func TestStreamsEndInTime(t *testing.T) {
	a := started(t)
	var ahead atomic.Int64
	a.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var err error
	if a.Tokens, err = token.Open(filepath.Join(t.TempDir(), "tokens.json")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		who  func() caller
		over time.Duration
		want cause.ID
	}{
		{"a token", func() caller { return a.tokened(t, "t", a.Now().Add(time.Hour)) }, time.Hour, cause.TokenRefused},
		{"a login that nobody uses", func() caller { return a.loggedIn(t) }, login.IdleFor, cause.LoginEnded},
	} {
		who := c.who()
		ctx, leave := a.bounded(t.Context(), who)
		ahead.Add(int64(c.over - time.Minute))
		if err := who.still(); err != nil || ctx.Err() != nil {
			t.Errorf("%s ends early: %v", c.name, err)
		}
		ahead.Add(int64(2 * time.Minute))
		<-ctx.Done()
		if no := (*refusal)(nil); !errors.As(context.Cause(ctx), &no) || no.id != c.want {
			t.Errorf("%s: %v", c.name, context.Cause(ctx))
		}
		leave()
	}
}

// The stream of events, which a page opens again by itself, does not keep a login alive; what a person asks for does.
func TestEventsKeepNobodyLoggedIn(t *testing.T) {
	for path, want := range map[string]bool{"events": false, "status": true} {
		a := started(t)
		var ahead time.Duration
		begun := time.Now()
		a.Now = func() time.Time { return begun.Add(ahead) }
		secret, _, _ := a.logins.Enter(a.logins.Link("root", token.Viewer, a.Now()), netip.IPv6Loopback(), a.Now())
		for ahead < login.IdleFor+time.Minute {
			ahead += login.IdleFor / 3
			_, err := a.byCookie(httptest.NewRequest(http.MethodGet, prefix+path, nil), secret)
			if ended := err != nil; ended != (!want && ahead >= login.IdleFor) {
				t.Errorf("%s, %s after the login: %v", path, ahead, err)
			}
		}
	}
}

func (a *API) tokened(t *testing.T, name string, until time.Time) caller {
	_, secret, err := a.Tokens.Add(name, token.Viewer, until, a.Now())
	if err != nil {
		t.Fatal(err)
	}
	return caller{still: a.stillHas(secret, token.Viewer)}
}

func (a *API) loggedIn(t *testing.T) caller {
	secret, _, ok := a.logins.Enter(a.logins.Link("root", token.Viewer, a.Now()), netip.IPv6Loopback(), a.Now())
	if !ok {
		t.Fatal("the link does not let in")
	}
	return caller{still: a.stillIn(secret)}
}
