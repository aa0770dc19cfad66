package token

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Bounds of guesses.
const (
	freeGuesses  = 10              // of one address, at once
	guessEvery   = 6 * time.Second // and then one in this time
	maxGuessers  = 4096            // addresses that are counted
	guesserBits6 = 64              // of an address of IPv6: one subscriber has as many
)

// Guesses bounds how many wrong tokens an address may send. The zero value is ready. It reads no clock. Safe for concurrent use.
type Guesses struct {
	mu     sync.Mutex
	byAddr map[netip.Prefix]*list.Element // of *guesser
	order  list.List                      // who has guessed last in front
}

// guesser is an address that has sent wrong tokens: the time by which all of them are forgiven.
type guesser struct {
	network netip.Prefix
	clear   time.Time
}

// networkOf is what an address is counted by. Those that are not known count as one.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = guesserBits6
	}
	p, _ := a.Prefix(bits)
	return p
}

// Wait is how long an address has to wait before another wrong token of it is taken as a mistake; 0: it need not.
func (g *Guesses) Wait(a netip.Addr, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.byAddr[networkOf(a)]
	if e == nil {
		return 0
	}
	return max(0, e.Value.(*guesser).clear.Sub(now)-(freeGuesses-1)*guessEvery)
}

// Wrong counts a wrong token.
func (g *Guesses) Wrong(a netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	network := networkOf(a)
	e := g.byAddr[network]
	switch {
	case e != nil:
		g.order.MoveToFront(e)
	default:
		if g.byAddr == nil {
			g.byAddr = make(map[netip.Prefix]*list.Element)
		}
		if len(g.byAddr) >= maxGuessers {
			old := g.order.Back()
			delete(g.byAddr, old.Value.(*guesser).network)
			g.order.Remove(old)
		}
		e = g.order.PushFront(&guesser{network: network})
		g.byAddr[network] = e
	}
	of := e.Value.(*guesser)
	if of.clear.Before(now) {
		of.clear = now
	}
	of.clear = of.clear.Add(guessEvery)
}
