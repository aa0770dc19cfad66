package probe

import "time"

// state is what the system knows about a TCP connection.
type state struct {
	roundTrip               time.Duration // the shortest one
	variation               time.Duration // how much they differ
	outOfOrder              int           // segments of the peer's that came after a later one
	segments, retransmitted int           // of ours
	sent, acknowledged      int           // bytes of ours; the handshake counts as one acknowledged byte
	unsent                  int           // bytes that wait for room
}
