// Package logging writes Picket's log in mosquitto's form, as text or as JSON, to the destinations that mosquitto has.
package logging

// Type is a kind of log line, as in mosquitto's log_type; the values are bits of a mask.
type Type uint16

// The kinds of log lines.
const (
	Info Type = 1 << iota
	Notice
	Warning
	Error
	Debug
	Subscribe
	Unsubscribe
	Internal
	WebSockets

	None    Type = 0
	All     Type = Info | Notice | Warning | Error | Debug | Subscribe | Unsubscribe | Internal | WebSockets
	Default Type = Error | Warning | Notice | Info
)

// Config says what is logged, in which form and where to.
type Config struct {
	Dest            []Dest
	Types           Type
	Timestamp       bool
	TimestampFormat string // strftime; empty: seconds since 1970
	Facility        int    // syslog local0 to local7; -1: daemon
	Format          Format
}

// Dest is one destination.
type Dest struct {
	Kind DestKind
	Path string // of a file
}

// DestKind is a kind of destination (log_dest).
type DestKind byte

// The kinds of destinations.
const (
	Stderr DestKind = iota
	Stdout
	Syslog
	Topic
	File
)

// Format is the form of a log line.
type Format byte

// The forms of a log line.
const (
	Mosquitto Format = iota // "1535473957: text"
	Text                    // slog's text form
	JSON                    // slog's JSON form
)
