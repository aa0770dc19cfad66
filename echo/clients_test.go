package echo

import (
	"net/netip"
	"testing"
	"time"

	"picket/cause"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestWhoIsAClient(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7/32",
		"::ffff:192.0.2.7":       "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"fe80::1%eth0":           "fe80::/64",
		"2001:db8:1:2:ffff:f::1": "2001:db8:1:2::/64",
	} {
		if got := clientOf(addr(a)).String(); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
}

func TestAccounts(t *testing.T) {
	limits := Limits{Connections: 10, PerClient: 2, PerMinute: 3, Bytes: 100, Time: time.Hour, Idle: time.Hour}
	table := newClients(limits)
	now := time.Now()
	a := addr("2001:db8::1")
	neighbour := addr("2001:db8::2") // the same /64
	enter := func(a netip.Addr, want cause.ID) *client {
		t.Helper()
		c, refused, _ := table.enter(a, now)
		switch {
		case refused == nil && want != "":
			t.Errorf("%s may enter, want %s", a, want)
		case refused != nil && refused.Cause != want:
			t.Errorf("%s: %v, want %q", a, refused, want)
		}
		return c
	}
	first := enter(a, "")
	second := enter(neighbour, "")
	enter(a, cause.EchoClientConnections)
	table.leave(first)
	third := enter(a, "")
	table.leave(third)
	enter(a, cause.EchoClientConnections) // three in this minute
	now = now.Add(time.Minute)
	third = enter(a, "")
	if !table.spend(third, 99, now) || table.spend(second, 1, now) {
		t.Error("bytes are not counted together")
	}
	table.leave(second)
	enter(a, cause.EchoClientBytes)
	table.leave(third)
	now = now.Add(time.Hour)
	table.leave(enter(a, ""))
	table.sweep(now)
	if len(table.table) != 1 {
		t.Error("an account is forgotten in its minute")
	}
	table.sweep(now.Add(time.Minute))
	if len(table.table) != 0 || table.open != 0 {
		t.Errorf("%d accounts and %d connections are left", len(table.table), table.open)
	}
}

// A flood from many addresses does not let the table grow, and costs no client with a connection its account.
func TestTableIsBounded(t *testing.T) {
	table := newClients(DefaultLimits())
	now := time.Now()
	stays, _, _ := table.enter(addr("192.0.2.7"), now)
	var a [16]byte
	a[0] = 0x20
	for i := range maxClients + 100 {
		a[2], a[3], a[4] = byte(i>>16), byte(i>>8), byte(i)
		c, refused, _ := table.enter(netip.AddrFrom16(a), now)
		if refused != nil {
			t.Fatal(refused)
		}
		table.leave(c)
	}
	if len(table.table) != maxClients || table.table[stays.key] != stays {
		t.Errorf("%d accounts, want %d; the open one is there: %t", len(table.table), maxClients, table.table[stays.key] == stays)
	}
}
