package listener

import "bytes"

// opener is what the first bytes of a connection look like.
type opener byte

const (
	opensUnknown opener = iota // too few bytes to tell
	opensMQTT                  // a CONNECT
	opensTLS
	opensHTTP
	opensProxy // PROXY protocol, version 1 or 2
	opensSSH
	opensOther
)

const (
	proxySignature1 = "PROXY "
	proxySignature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// openers are the beginnings that tell protocols apart. None is the beginning of another.
var openers = []struct {
	prefix []byte
	opens  opener
}{
	{[]byte{0x16, 3}, opensTLS},
	{[]byte("GET "), opensHTTP},
	{[]byte("POST "), opensHTTP},
	{[]byte("HEAD "), opensHTTP},
	{[]byte("PUT "), opensHTTP},
	{[]byte("OPTIONS "), opensHTTP},
	{[]byte("DELETE "), opensHTTP},
	{[]byte("CONNECT "), opensHTTP},
	{[]byte("PATCH "), opensHTTP},
	{[]byte("TRACE "), opensHTTP},
	{[]byte("PRI * HTTP/2"), opensHTTP},
	{[]byte(proxySignature1), opensProxy},
	{[]byte(proxySignature2), opensProxy},
	{[]byte("SSH-"), opensSSH},
}

// sniff tells what a connection speaks by its first bytes. Only a first byte that may begin something else than MQTT can
// make it wait for more.
func sniff(b []byte) opener {
	if len(b) == 0 {
		return opensUnknown
	}
	if b[0] == 0x10 {
		return opensMQTT
	}
	for _, o := range openers {
		switch {
		case bytes.HasPrefix(b, o.prefix):
			return o.opens
		case bytes.HasPrefix(o.prefix, b):
			return opensUnknown
		}
	}
	return opensOther
}
