package simulation

import "testing"

// calm runs worlds in which nothing goes wrong.
func calm(t *testing.T, rest bool) (moves, acks, again int) {
	for seed := range uint64(10) {
		w := New(Config{Seed: seed, Nodes: 3, Sessions: 8, Publishers: 3, Delay: 60, Lag: 20, Slice: 2, Stay: true, Rest: rest})
		if err := w.Run(60000); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		moves, acks, again = moves+w.check.moves, acks+w.check.acks, again+w.check.again
	}
	return moves, acks, again
}

func TestNothingComesTwiceToSessionsThatStay(t *testing.T) {
	if moves, acks, again := calm(t, true); moves < 80 || acks < 4000 || again > 0 {
		t.Errorf("%d sessions, %d acknowledgements, %d messages that came again", moves, acks, again)
	}
}

// A session that moves while a message is on its way to its old node and to its new one may get it from both, which QoS 1 allows; nothing is lost. Each of these moves every few
// seconds, and the network takes up to 60 ms.
func TestSessionsThatMoveLoseNothing(t *testing.T) {
	if moves, acks, again := calm(t, false); moves < 500 || acks < 4000 || again > acks/10 {
		t.Errorf("%d moves, %d acknowledgements, %d messages that came again", moves, acks, again)
	}
}
