// Package ban keeps who may not connect: addresses and networks, users, client identifiers and the beginnings of client identifiers, each until a time or until it is
// lifted. The broker asks it about every connection and every CONNECT.
package ban

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"picket/printable"
)

// Kind is what a ban is about.
type Kind string

// The kinds of bans.
const (
	Address Kind = "address" // an address or a network
	User    Kind = "user"    // a user name
	Client  Kind = "client"  // a client identifier
	Prefix  Kind = "prefix"  // client identifiers that begin so
)

// Bounds of what is kept.
const (
	maxBans = 10_000
	maxWhy  = 200     // bytes
	maxFile = 8 << 20 // bytes
	// maxName is the longest user name or client identifier that MQTT has, in bytes.
	maxName = 65_535
)

// Ban keeps somebody out.
type Ban struct {
	Kind  Kind      `json:"kind"`
	Value string    `json:"value"`          // an address or a network such as 10.0.0.0/8, a name, an identifier
	Until time.Time `json:"until,omitzero"` // absent: until it is lifted
	Since time.Time `json:"since"`
	Why   string    `json:"why,omitempty"` // for whoever runs the broker, and for the log; at most 200 bytes
}

// over tells whether its time has come.
func (b *Ban) over(now time.Time) bool { return !b.Until.IsZero() && !now.Before(b.Until) }

// Parse reads what a ban is about. Networks lose what is beyond their mask, and addresses of IPv4 in IPv6's form become what they are.
func Parse(kind Kind, value string) (Ban, error) {
	b := Ban{Kind: kind, Value: value}
	switch {
	case kind == Address:
		network, err := ParseNetwork(value)
		if err != nil {
			return Ban{}, err
		}
		b.Value = nameOf(network)
	case kind != User && kind != Client && kind != Prefix:
		return Ban{}, fmt.Errorf("%q is no kind of ban: it is one of address, user, client, prefix", string(kind))
	case value == "":
		return Ban{}, errors.New("an empty name is nobody's")
	case len(value) > maxName || !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return Ban{}, fmt.Errorf("%q cannot be a user name or a client identifier", printable.Text(value))
	}
	return b, nil
}

// Covers tells whether a ban of addresses is about this one.
func (b *Ban) Covers(a netip.Addr) bool {
	network, err := ParseNetwork(b.Value)
	return err == nil && b.Kind == Address && network.Contains(a.Unmap().WithZone(""))
}

// Meets tells whether a ban is about a client: one that is connected from an address, with an identifier and a user name.
func (b *Ban) Meets(a netip.Addr, id, user string) bool {
	switch b.Kind {
	case User:
		return b.Value == user
	case Client:
		return b.Value == id
	case Prefix:
		return strings.HasPrefix(id, b.Value)
	}
	return b.Covers(a)
}

func (b *Ban) check() error {
	is, err := Parse(b.Kind, b.Value)
	switch {
	case err != nil:
		return err
	case len(b.Why) > maxWhy || !utf8.ValidString(b.Why):
		return fmt.Errorf("the reason has to be text of at most %d bytes", maxWhy)
	}
	b.Value = is.Value
	return nil
}

// ParseNetwork reads an address or a network, "192.168.1.5" or "192.168.1.0/24". Addresses of IPv4 in IPv6's form become what they are.
func ParseNetwork(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 192.168.1.0/24", printable.Text(text))
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// nameOf is how a network is written: one of a single address as the address.
func nameOf(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
