package relay

import "picket/packet"

// Start is when a bridge connects by itself.
type Start byte

// Starts.
const (
	Automatic Start = iota // at once, and again whenever the connection is lost
	Lazy                   // when enough messages wait, until there have been none for a while
	Once                   // at once, and never again
)

// Terms are what a bridge is configured to do about its connection.
type Terms struct {
	Start      Start
	Addresses  int            // how many there are to connect to
	RoundRobin bool           // all addresses are alike; else the first is preferred
	Base, Cap  int64          // wait in milliseconds before the next attempt: Base, or by chance between Base and Cap where that is not 0
	Version    packet.Version // to speak
	Private    bool           // to say that this is a bridge, to a remote broker that may know what that is (before MQTT 5)
}

// Outcome is how an attempt to connect, or a connection, has ended.
type Outcome byte

// Outcomes.
const (
	Unreached    Outcome = iota // no CONNACK
	Hung                        // the connection was made, and ended before CONNACK
	WrongVersion                // CONNACK refused the protocol version
	Refused                     // CONNACK refused for another reason
	Lost                        // it had been connected
	Preferred                   // it was ended to go back to the first address
)

// Attempt is the next one to be made.
type Attempt struct {
	Wait    int64 // milliseconds until then
	Address int   // index of the address
	Version packet.Version
	Private bool
}

// Plan says when and how the next attempt to connect is made. The zero value is not useful: see [NewPlan].
type Plan struct {
	terms   Terms
	next    Attempt
	tried   int   // addresses since the last connection, in this round
	backOff int64 // the last wait
}

// NewPlan returns the plan of a bridge that has not tried yet.
func NewPlan(t Terms) *Plan {
	return &Plan{terms: t, next: Attempt{Version: t.Version, Private: t.Private && t.Version != packet.V5}}
}

// First is the first attempt.
func (p *Plan) First() Attempt { return p.next }

// Connected notes that an attempt has succeeded.
func (p *Plan) Connected() { p.tried, p.backOff = 0, 0 }

// Next is the attempt after one that ended so; again is false when there is none, ever. chance is a number from 0 to below 1.
func (p *Plan) Next(o Outcome, chance float64) (a Attempt, again bool) {
	if p.terms.Start == Once && (o == Lost || o == Preferred) {
		return a, false
	}
	switch {
	case o == WrongVersion && p.next.Version == packet.V5, o == Hung && p.next.Version == packet.V5:
		p.next.Version, p.next.Private = packet.V311, p.terms.Private
	case o == WrongVersion || o == Hung:
		if p.next.Private {
			p.next.Private = false
		} else { // that was not it: begin anew
			p.next.Version, p.next.Private = p.terms.Version, p.terms.Private && p.terms.Version != packet.V5
		}
	}
	switch {
	case o == Lost && p.terms.RoundRobin:
		p.next.Address = (p.next.Address + 1) % p.terms.Addresses
	case o == Lost || o == Preferred:
		p.next.Address = 0
	case o == WrongVersion:
	default:
		p.tried++
		p.next.Address = (p.next.Address + 1) % p.terms.Addresses
	}
	switch {
	case o == Preferred:
		p.next.Wait = 0
	case o == Unreached && p.tried < p.terms.Addresses: // the next address may be better
		p.next.Wait = 0
	default:
		p.tried = 0
		p.next.Wait = p.wait(chance)
	}
	if p.terms.Start == Once && p.next.Wait > 0 {
		return p.next, false
	}
	return p.next, true
}

// wait is the time in milliseconds until the next round: each time up to three times as long as the one before, by chance, so that many bridges do not come at once.
func (p *Plan) wait(chance float64) int64 {
	if p.terms.Cap == 0 {
		return p.terms.Base
	}
	last := max(p.backOff, p.terms.Base)
	p.backOff = min(p.terms.Base+int64(chance*float64(3*last-p.terms.Base+1)), p.terms.Cap)
	return p.backOff
}
