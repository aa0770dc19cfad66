package door

import (
	"net/netip"
	"testing"
	"time"
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
		if got := ClientOf(addr(a)).String(); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
}

func TestAccounts(t *testing.T) {
	table := NewAccounts(Limits{Connections: 10, PerClient: 2, PerMinute: 3, Bytes: 100})
	now := time.Now()
	a := addr("2001:db8::1")
	neighbour := addr("2001:db8::2") // the same /64
	enter := func(a netip.Addr) *Client {
		t.Helper()
		c, refused := table.Enter(a, now)
		if refused != nil {
			t.Errorf("%s may not enter: %+v", a, refused)
		}
		return c
	}
	refuse := func(a netip.Addr, want Reason) {
		t.Helper()
		if _, refused := table.Enter(a, now); refused == nil || refused.Reason != want {
			t.Errorf("%s: got %+v, want the reason %d", a, refused, want)
		}
	}
	first := enter(a)
	second := enter(neighbour)
	refuse(a, TooMany)
	table.Leave(first)
	table.Leave(enter(a))
	refuse(a, TooFast)
	now = now.Add(time.Minute)
	third := enter(a)
	if !table.Spend(third, 99, now) || table.Spend(second, 1, now) {
		t.Error("bytes are not counted together")
	}
	table.Leave(second)
	refuse(a, TooMuch)
	table.Leave(third)
	now = now.Add(time.Hour)
	table.Leave(enter(a))
	table.Sweep(now)
	if len(table.table) != 1 {
		t.Error("an account is forgotten in its minute")
	}
	table.Sweep(now.Add(time.Minute))
	if len(table.table) != 0 || table.open != 0 {
		t.Errorf("%d accounts and %d connections are left", len(table.table), table.open)
	}
}

func TestAllTogether(t *testing.T) {
	table := NewAccounts(Limits{Connections: 2, PerClient: 2, PerMinute: 3, Bytes: 100})
	now := time.Now()
	table.Enter(addr("192.0.2.1"), now)
	table.Enter(addr("192.0.2.2"), now)
	if _, refused := table.Enter(addr("192.0.2.3"), now); refused == nil || refused.Reason != Full {
		t.Errorf("got %+v", refused)
	}
}

// Many connections come at once from one address: one of the refusals is the first.
func TestFloodsAreToldAsANumber(t *testing.T) {
	table := NewAccounts(Limits{Connections: 10, PerClient: 1, PerMinute: 3, Bytes: 100})
	now := time.Now()
	a := addr("192.0.2.7")
	table.Enter(a, now)
	told := 0
	for range 1000 {
		if _, refused := table.Enter(a, now); refused == nil {
			t.Fatal("it may enter")
		} else if refused.First {
			told++
		}
	}
	untold := table.Sweep(now.Add(time.Minute))
	if told != 1 || len(untold) != 1 || untold[0] != (Untold{ClientOf(a), 999, TooMany}) {
		t.Errorf("%d are the first, then %+v", told, untold)
	}
	if untold := table.Sweep(now.Add(2 * time.Minute)); len(untold) != 0 {
		t.Errorf("told again: %+v", untold)
	}
}

// A flood from many addresses does not let the table grow, and costs no client with a connection its account.
func TestTableIsBounded(t *testing.T) {
	table := NewAccounts(Limits{Connections: 10, PerClient: 2, PerMinute: 3, Bytes: 100})
	now := time.Now()
	stays, _ := table.Enter(addr("192.0.2.7"), now)
	var a [16]byte
	a[0] = 0x20
	for i := range maxClients + 100 {
		a[2], a[3], a[4] = byte(i>>16), byte(i>>8), byte(i)
		c, refused := table.Enter(netip.AddrFrom16(a), now)
		if refused != nil {
			t.Fatal(refused)
		}
		table.Leave(c)
	}
	if len(table.table) != maxClients || table.table[stays.key] != stays {
		t.Errorf("%d accounts, want %d; the open one is there: %t", len(table.table), maxClients, table.table[stays.key] == stays)
	}
}
