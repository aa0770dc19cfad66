package cluster

import (
	"fmt"
	"testing"

	"picket/cause"
	"picket/cluster/wire"
	"picket/internal/testbed"
)

// TestStateBeforeItHasJoined: a node that has not started says who it is, and claims nothing.
func TestStateBeforeItHasJoined(t *testing.T) {
	t.Parallel()
	n, err := New(Options{Name: "a", Address: "10.0.0.1:7883"})
	if err != nil {
		t.Fatal(err)
	}
	s := n.State()
	if s.Name != "a" || s.Address != "10.0.0.1:7883" || s.Incarnation != 0 || s.Serving || s.Leased || s.Redis.Answers || s.Nodes == nil || len(s.Nodes) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStateTellsOfLinksAndOfWhatWaits: of a link and what has passed it, of one that is lost and what waits then, and of a node that is out.
func TestStateTellsOfLinksAndOfWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", nil), r.start("b", nil)
	b.want(t, "t", "u")
	a.want(t, "v")
	eventually(t, "a and b are linked", true, a.linkedTo(b))
	for range 3 {
		if err := <-a.publish("t", "x"); err != nil {
			t.Fatal(err)
		}
	}
	frame := wire.Append(nil, wire.Frame{Body: &wire.Loose{Run: wire.Run{Plain: true, Topic: "t", Payloads: [][]byte{{'x'}, {'y'}}}}})
	if !a.Node.Loose(b.joined.Load(), frame, 2) {
		t.Fatal("there is no room for a run of QoS 0")
	}
	// told waits until a node says so of the other one.
	told := func(of *member, what string, is func(s *State, o NodeState) bool) {
		t.Helper()
		testbed.Eventually(t, func() error {
			s := of.State()
			if len(s.Nodes) == 1 && is(s, s.Nodes[0]) {
				return nil
			}
			return fmt.Errorf("%s: %+v", what, s)
		})
	}
	told(a, "what a has sent", func(s *State, o NodeState) bool {
		return s.Serving && s.Leased && s.Incarnation == a.joined.Load() && s.Routes == 1 && s.Unsettled == 0 && s.Redis.Answers && s.Redis.Servers == 1 && !s.Redis.Since.IsZero() &&
			o.Linked && o.FramesVersion == wire.Highest && o.Name == "b" && o.Address == b.o.Address && o.Incarnation == b.joined.Load() && o.Routes == 2 && o.Out == 5 && o.In == 0 && o.Unsettled == 0 && o.Unseen == 0 && o.Cause == ""
	})
	told(b, "what b has got", func(s *State, o NodeState) bool { return o.Linked && o.In == 5 && o.Out == 0 && o.Routes == 1 })
	gone := b.joined.Load()
	b.Close()
	eventually(t, "the link", true, func() bool { return a.links.of(gone) == nil })
	done := a.publish("t", "meanwhile")
	if a.Node.Loose(gone, frame, 2) {
		t.Error("a run of QoS 0 was taken although there is no link")
	}
	told(a, "what waits without a link", func(s *State, o NodeState) bool {
		return !o.Linked && o.Cause == cause.ClusterLinkDown && o.Text != "" && !o.Since.IsZero() && o.FramesVersion == 0 && o.Unsettled == 1 && o.Waiting > 0 && o.Dropped == 2 && s.Dropped == 2 && s.Unsettled == 1
	})
	a.Want("w")
	told(a, "what b has not seen", func(s *State, o NodeState) bool { return s.Routes == 2 && o.Unseen == 1 })
	r.bury(t, a, b)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "nodes of which a tells", 0, func() int { return len(a.State().Nodes) })
	if s := a.State(); s.Unsettled != 0 || s.Dropped != 2 {
		t.Errorf("without b: %+v", s)
	}
}
