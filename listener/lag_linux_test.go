package listener

import (
	"testing"
	"time"
)

// A loop that is busy is seen to be late while it is, and not any more afterwards.
func TestLag(t *testing.T) {
	s, err := Open(t.Context(), nil, &echo{}, Options{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	until := func(what string, good func(time.Duration) bool) {
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			lag := s.Lag()
			if good(lag) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: lag %v", what, lag)
			}
		}
	}
	stop := make(chan struct{})
	s.front.(*loopFront).loops[1].post(task{kind: taskDo, do: func(*loop) { <-stop }})
	until("busy", func(lag time.Duration) bool { return lag > 100*time.Millisecond })
	close(stop)
	until("idle", func(lag time.Duration) bool { return lag < 100*time.Millisecond })
}
