// Package dns stands in for github.com/miekg/dns, through a replace directive in the repository's go.mod. What fetches certificates asks name servers
// itself only for the challenge DNS-01, which Picket does not offer: it proves names and addresses over its own ports. There is no client here; the name
// of an address in the tree in-addr.arpa is, since the challenge TLS-ALPN-01 needs it.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ErrLeftOut says that this program sends no questions to name servers by itself.
var ErrLeftOut = errors.New("the challenge DNS-01 is left out of this program: use HTTP-01 or TLS-ALPN-01")

// Types of records and codes of answers, with the numbers of RFC 1035.
const (
	TypeNS    uint16 = 2
	TypeCNAME uint16 = 5
	TypeSOA   uint16 = 6
	TypeTXT   uint16 = 16

	RcodeSuccess       = 0
	RcodeServerFailure = 2
	RcodeNameError     = 3
)

// RcodeToString are the names of the codes.
var RcodeToString = map[int]string{RcodeSuccess: "NOERROR", RcodeServerFailure: "SERVFAIL", RcodeNameError: "NXDOMAIN"}

// RR is a record.
type RR interface{ Header() *RR_Header }

// RR_Header is what all records begin with.
type RR_Header struct{ Name string }

// Header implements [RR].
func (h *RR_Header) Header() *RR_Header { return h }

// The records that are asked for.
type (
	SOA struct {
		Hdr     RR_Header
		Ns      string
		Refresh uint32 // in seconds
	}
	CNAME struct {
		Hdr    RR_Header
		Target string
	}
	NS struct {
		Hdr RR_Header
		Ns  string
	}
	TXT struct {
		Hdr RR_Header
		Txt []string
	}
)

// Header implements [RR].
func (r *SOA) Header() *RR_Header { return &r.Hdr }

// Header implements [RR].
func (r *CNAME) Header() *RR_Header { return &r.Hdr }

// Header implements [RR].
func (r *NS) Header() *RR_Header { return &r.Hdr }

// Header implements [RR].
func (r *TXT) Header() *RR_Header { return &r.Hdr }

// Msg is a question or an answer.
type Msg struct {
	Rcode            int
	Truncated        bool
	RecursionDesired bool
	Answer           []RR
}

// SetQuestion does nothing: the question is never sent.
func (m *Msg) SetQuestion(string, uint16) *Msg { return m }

// SetEdns0 does nothing: the question is never sent.
func (m *Msg) SetEdns0(uint16, bool) *Msg { return m }

// String is the code's name.
func (m *Msg) String() string { return RcodeToString[m.Rcode] }

// Client sends nothing.
type Client struct {
	Net     string
	Timeout time.Duration
}

// ExchangeContext gives [ErrLeftOut].
func (*Client) ExchangeContext(context.Context, *Msg, string) (*Msg, time.Duration, error) {
	return nil, 0, ErrLeftOut
}

// ClientConfig are the name servers of a machine.
type ClientConfig struct{ Servers []string }

// ClientConfigFromFile gives [ErrLeftOut].
func ClientConfigFromFile(string) (*ClientConfig, error) { return nil, ErrLeftOut }

// Split gives where the labels of a name begin; nil for the root.
func Split(name string) (begins []int) {
	for i := 0; i < len(name) && name != "."; {
		begins = append(begins, i)
		dot := strings.IndexByte(name[i:], '.')
		if dot < 0 {
			break
		}
		i += dot + 1
	}
	return begins
}

// ReverseAddr is the name of an address in the tree of names: 4.3.2.1.in-addr.arpa. for 1.2.3.4, and ip6.arpa. for IPv6.
func ReverseAddr(address string) (string, error) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "", fmt.Errorf("%q is no address", address)
	}
	a = a.Unmap().WithZone("")
	var b strings.Builder
	bytes := a.AsSlice()
	for i := len(bytes) - 1; i >= 0; i-- {
		if a.Is4() {
			b.WriteString(strconv.Itoa(int(bytes[i])) + ".")
		} else {
			fmt.Fprintf(&b, "%x.%x.", bytes[i]&0xF, bytes[i]>>4)
		}
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa.", nil
	}
	return b.String() + "ip6.arpa.", nil
}
