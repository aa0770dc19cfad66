package login

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"picket/token"
)

var (
	start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	here  = netip.MustParseAddr("127.0.0.1")
)

// A link works once, and for a minute.
func TestLinkWorksOnce(t *testing.T) {
	var b Book
	code := b.Link("root", token.Admin, start)
	late := b.Link("root", token.Viewer, start)
	if _, _, ok := b.Enter(code+"A", here, start); ok {
		t.Error("another code lets in")
	}
	secret, s, ok := b.Enter(code, here, start.Add(LinkFor-1))
	if !ok || s.Role != token.Admin || s.Name != "root" || s.From != here {
		t.Fatalf("the link does not work: %+v %t", s, ok)
	}
	if _, _, ok := b.Enter(code, here, start.Add(LinkFor-1)); ok {
		t.Error("the link works twice")
	}
	if _, _, ok := b.Enter(late, here, start.Add(LinkFor)); ok {
		t.Error("the link works for longer than a minute")
	}
	if _, ok := b.Check(code, true, start); ok {
		t.Error("the code is a session")
	}
	if _, ok := b.Check(secret, true, start.Add(LinkFor)); !ok {
		t.Error("there is no session")
	}
	if b.Leave(secret); len(b.All(start)) != 0 {
		t.Error("the session goes on after its end")
	}
}

// A session ends when no person has used it for long, whatever its page does by itself, and in the end in any case.
func TestSessionEnds(t *testing.T) {
	var b Book
	enter := func() string {
		secret, _, ok := b.Enter(b.Link("root", token.Viewer, start), here, start)
		if !ok {
			t.Fatal("no session")
		}
		return secret
	}
	idle, used := enter(), enter()
	for at := start; at.Before(start.Add(MostFor)); at = at.Add(IdleFor / 3) {
		_, stays := b.Check(idle, false, at)
		if stays != at.Before(start.Add(IdleFor)) {
			t.Fatalf("after %v a session that nobody uses: %t", at.Sub(start), stays)
		}
		if _, ok := b.Check(used, true, at); !ok {
			t.Fatalf("after %v a session that is used has ended", at.Sub(start))
		}
	}
	if _, ok := b.Check(used, true, start.Add(MostFor)); ok {
		t.Error("a session lasts for ever")
	}
}

// There is an end of links and of sessions; the oldest make room.
func TestBounds(t *testing.T) {
	var b Book
	first := b.Link("0", token.Viewer, start)
	for i := range mostLinks {
		b.Link(fmt.Sprint(i), token.Viewer, start.Add(time.Duration(i+1)))
	}
	if _, _, ok := b.Enter(first, here, start); ok || len(b.links) != mostLinks {
		t.Errorf("%d links, the first works: %t", len(b.links), ok)
	}
	var secrets []string
	for i := range mostSessions + 1 {
		at := start.Add(time.Duration(i))
		secret, _, _ := b.Enter(b.Link("x", token.Viewer, at), here, at)
		secrets = append(secrets, secret)
	}
	if _, ok := b.Check(secrets[0], true, start); ok {
		t.Error("the session that was used least lately is still there")
	}
	if n := b.LeaveAll(start); n != mostSessions || len(b.All(start)) != 0 || len(b.links) != 0 {
		t.Errorf("%d sessions were ended, %d are left, and %d links", n, len(b.All(start)), len(b.links))
	}
}
