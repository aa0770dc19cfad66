package broker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	hostile = netip.MustParseAddr("192.0.2.66")
	decent  = netip.MustParseAddr("192.0.2.1")
)

// at is a moment of a clock that tests set.
func at(seconds float64) time.Time { return time.Unix(1000, int64(seconds*1e9)) }

func hasTurn(c *passwordCheck) bool {
	select {
	case <-c.turn:
		return true
	default:
		return false
	}
}

// Turns go round the addresses: one that sends many passwords waits for its own, and another for one of those at the most.
func TestPasswordsGoRound(t *testing.T) {
	q := newPasswordQueue(1, checksEach)
	var flood []*passwordCheck
	for {
		c := q.begin(hostile, "ann", at(0))
		if c == nil {
			break
		}
		q.line(c, at(0))
		flood = append(flood, c)
	}
	if len(flood) != checksEach {
		t.Fatalf("%d checks of one address are under way, want %d", len(flood), checksEach)
	}
	one := q.begin(decent, "bob", at(1))
	q.line(one, at(1))
	if !hasTurn(flood[0]) || hasTurn(flood[1]) || hasTurn(one) {
		t.Fatal("there is one turn")
	}
	q.end(flood[0], passwordWrong, at(1.1))
	if !hasTurn(flood[1]) && !hasTurn(one) {
		t.Error("the turn is lost")
	}
	q.end(flood[1], passwordWrong, at(1.2))
	if !hasTurn(one) {
		t.Error("another address waits for more than one check of the flood's")
	}
	q.end(one, passwordRight, at(1.3))
	for i, c := range flood[2:] {
		if !hasTurn(c) {
			t.Fatalf("check %d has no turn", i)
		}
		q.end(c, notChecked, at(2))
	}
	if q.free != 1 || q.inTurn.Len() != 0 {
		t.Errorf("%d turns, %d addresses in line", q.free, q.inTurn.Len())
	}
}

// A check that nobody waits for any more gives up its place, wherever it stands, and keeps no turn.
func TestPasswordsGivenUp(t *testing.T) {
	q := newPasswordQueue(1, checksEach)
	running, waiting, last := q.begin(decent, "", at(0)), q.begin(decent, "", at(0)), q.begin(hostile, "", at(0))
	before := q.begin(hostile, "", at(0)) // never stands in line
	q.line(running, at(0))
	q.line(waiting, at(0))
	q.line(last, at(0))
	q.end(waiting, notChecked, at(1))
	q.end(before, notChecked, at(1))
	q.end(running, notChecked, at(1))
	q.end(running, notChecked, at(1)) // a second time
	if hasTurn(waiting) || !hasTurn(last) || q.free != 0 {
		t.Errorf("turns: %v, %v; free: %d", hasTurn(waiting), hasTurn(last), q.free)
	}
}

// Failures delay the next try of that user from that address, more and more, and are forgotten; others are not delayed.
func TestPasswordsDelay(t *testing.T) {
	q := newPasswordQueue(1, checksEach)
	fails := func(user string, seconds float64) time.Duration {
		c := q.begin(hostile, user, at(seconds))
		q.line(c, at(seconds))
		q.end(c, passwordWrong, at(seconds))
		return c.delay
	}
	var delays []time.Duration
	for range 12 {
		delays = append(delays, fails("ann", 0))
	}
	want := "[0s 0s 0s 100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s 5s]"
	if got := fmt.Sprint(delays); got != want {
		t.Errorf("delays %s, want %s", got, want)
	}
	for _, other := range []struct {
		addr netip.Addr
		user string
	}{{hostile, "bob"}, {decent, "ann"}} {
		if c := q.begin(other.addr, other.user, at(0)); c.delay != 0 {
			t.Errorf("%v waits %v", other, c.delay)
		}
	}
	if c := q.begin(hostile, "ann", at(300)); c.delay != 0 {
		t.Errorf("after five minutes the user waits %v", c.delay)
	}
	for i := range 200 {
		fails(fmt.Sprint("user", i), 300)
	}
	if d := fails("another", 300); d < time.Second {
		t.Errorf("who tries one user after the other waits %v", d)
	}
	if n := len(q.peers[hostile].users); n > usersEach {
		t.Errorf("%d users are remembered", n)
	}
}

// What is remembered is bounded.
func TestPasswordsRemembered(t *testing.T) {
	q := newPasswordQueue(1, checksEach)
	kept := q.begin(decent, "", at(0))
	for i := range 2 * passwordPeers {
		c := q.begin(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "", at(0))
		q.end(c, notChecked, at(0))
	}
	if n := len(q.peers); n != passwordPeers || q.recent.Len() != n || q.peers[decent] != kept.peer {
		t.Errorf("%d addresses are remembered", n)
	}
}

// The reading is the wait of those that stand first for their address.
func TestPasswordsReading(t *testing.T) {
	q := newPasswordQueue(1, checksEach)
	read := func(seconds, want float64) {
		t.Helper()
		if got := q.read(at(seconds)); got != time.Duration(want*1e9) {
			t.Errorf("at %v s: %v, want %v s", seconds, got, want)
		}
	}
	lined := func(addr netip.Addr, seconds float64) *passwordCheck {
		c := q.begin(addr, "", at(seconds))
		q.line(c, at(seconds))
		return c
	}
	read(0, 0)
	a := lined(hostile, 0)
	read(1, 0) // it had its turn at once
	b, c, d := lined(hostile, 1), lined(hostile, 1), lined(decent, 1)
	read(4, 3) // two addresses wait
	q.end(a, passwordWrong, at(5))
	read(6, 4)
	q.end(b, passwordWrong, at(7))
	read(7, 6)
	q.end(d, passwordRight, at(8))
	read(9, 0) // only the one behind an own one has waited since
	q.end(c, passwordRight, at(20))
	read(21, 0)
}
