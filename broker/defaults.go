package broker

import (
	"time"

	"picket/access"
)

// Defaults returns the configuration without listeners and with every option at its default: what mosquitto 2.0.20 does (its code,
// where the manual says otherwise) unless a comment says why not, and nobody may connect without a user name.
func Defaults() Config {
	return Config{
		Security:            []access.Config{{AllowZeroLengthID: true, AutoIDPrefix: "auto-"}},
		ConnectionMessages:  true,
		MaxInflightMessages: 20,
		MaxQueuedMessages:   1000,
		RetainAvailable:     true,
		TCPNoDelay:          true, // unlike mosquitto: a connection is written to once for all that a batch has for it, so waiting for more gains nothing
		SysInterval:         10 * time.Second,
		ConnectTimeout:      10 * time.Second,
		MaxOutputBytes:      8 << 20,
	}
}

// What connections may cost that are no clients yet, at the least and at the most: below, no TLS handshakes could be done side by side; above, it would
// only be a stranger's.
const (
	minNewcomerBytes = 4 << 20
	maxNewcomerBytes = 128 << 20
)

// newcomerShare is how many connections may be no clients yet when the process may open limit files.
func newcomerShare(limit uint64) int { return int(min(max(64, limit/4), 1<<20)) }
