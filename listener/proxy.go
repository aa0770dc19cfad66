package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"picket/cause"
	"picket/packet"
)

const (
	maxProxyHeader1 = 107     // the protocol's own limit for version 1
	maxProxyHeader2 = 4 << 10 // addresses and a client certificate's names take a few hundred bytes
)

// proxyHeader is what a PROXY header says.
type proxyHeader struct {
	size          int            // bytes taken; 0: incomplete
	remote, local netip.AddrPort // zero: the connection is the proxy's own (LOCAL, UNKNOWN), such as a health check
	tls           *ProxyTLS
}

// parseProxy parses the PROXY header that b has to begin with.
func parseProxy(b []byte) (proxyHeader, *Refusal) {
	malformed := func(format string, args ...any) (proxyHeader, *Refusal) {
		return proxyHeader{}, &Refusal{Cause: cause.ProxyHeaderMalformed, Text: "PROXY header: " + fmt.Sprintf(format, args...)}
	}
	size := 0
	switch {
	case bytes.HasPrefix(b, []byte(proxySignature1)):
		end := bytes.Index(b[:min(len(b), maxProxyHeader1)], []byte("\r\n"))
		if end < 0 {
			if len(b) >= maxProxyHeader1 {
				return malformed("version 1 line is longer than %d bytes", maxProxyHeader1)
			}
			return proxyHeader{}, nil
		}
		size = end + 2
	case bytes.HasPrefix(b, []byte(proxySignature2)):
		if len(b) < 16 {
			return proxyHeader{}, nil
		}
		size = 16 + int(binary.BigEndian.Uint16(b[14:]))
		if size > maxProxyHeader2 {
			return malformed("version 2 header of %d bytes, at most %d are read", size, maxProxyHeader2)
		}
		if len(b) < size {
			return proxyHeader{}, nil
		}
	case bytes.HasPrefix([]byte(proxySignature1), b) || bytes.HasPrefix([]byte(proxySignature2), b):
		return proxyHeader{}, nil
	default:
		return proxyHeader{}, &Refusal{Cause: cause.ProxyHeaderMissing,
			Text: "a trusted proxy sent no PROXY header; turn it on there (send-proxy-v2), or take the address out of the trusted ones"}
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:size]), max(size, 16)))
	if err != nil {
		return malformed("%v", err)
	}
	p := proxyHeader{size: size}
	if src, dst, ok := h.TCPAddrs(); ok && h.Command == proxyproto.PROXY {
		p.remote, p.local = tcpAddrPort(src), tcpAddrPort(dst)
	}
	if h.Version == 2 {
		if p.tls, err = proxyTLS(h); err != nil {
			return malformed("%v", err)
		}
	}
	if p.tls == nil {
		p.tls = new(ProxyTLS)
	}
	return p, nil
}

// proxyTLS finds what the proxy says about the client's TLS connection to it.
func proxyTLS(h *proxyproto.Header) (*ProxyTLS, error) {
	tlvs, err := h.TLVs()
	if err != nil {
		return nil, err
	}
	for _, t := range tlvs {
		if t.Type != proxyproto.PP2_TYPE_SSL {
			continue
		}
		ssl, err := tlvparse.SSL(t)
		if err != nil {
			return nil, err
		}
		if !ssl.ClientSSL() {
			return nil, nil
		}
		cn, _ := ssl.ClientCN()
		if !packet.ValidText(cn) {
			return nil, errors.New("the client certificate's name holds control characters, or is not UTF-8")
		}
		// Verify is zero also when no certificate was asked for.
		return &ProxyTLS{CommonName: cn, Verified: ssl.Verified() && (ssl.ClientCertConn() || ssl.ClientCertSess())}, nil
	}
	return nil, nil
}

func tcpAddrPort(a *net.TCPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
