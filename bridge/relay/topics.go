// Package relay decides what a bridge between two brokers does with what it hears: which topics become which, which packets go on, who is acknowledged by
// whom, and when and how the next attempt to connect is made. It is pure: packets, times and chance go in, packets and decisions come out.
package relay

import (
	"strings"

	"picket/topic"
)

// Direction is which way the messages of a [Topic] go.
type Direction byte

// Directions.
const (
	Out  Direction = 1 << iota // to the remote broker
	In                         // from it
	Both = Out | In
)

// Topic is a pattern of topics that a bridge carries.
type Topic struct {
	Pattern   string // a topic filter; empty: the prefixes alone are one topic
	Direction Direction
	QoS       byte   // the highest that messages are carried with
	Local     string // prefix of the topics at this broker
	Remote    string // prefix of the same topics at the remote broker
}

// LocalFilter is what the topic is subscribed to with at this broker.
func (t *Topic) LocalFilter() string { return t.Local + t.Pattern }

// RemoteFilter is what the topic is subscribed to with at the remote broker.
func (t *Topic) RemoteFilter() string { return t.Remote + t.Pattern }

// Topics are all topics of a bridge. Where several match a name, the first one that has a prefix counts, as in mosquitto.
type Topics []Topic

// ToRemote is the name at the remote broker of a topic name at this one.
func (ts Topics) ToRemote(name string) string {
	for i := range ts {
		t := &ts[i]
		if t.Direction&Out != 0 && (t.Local != "" || t.Remote != "") && topic.Match(t.LocalFilter(), name) {
			return t.Remote + strings.TrimPrefix(name, t.Local)
		}
	}
	return name
}

// ToLocal is the name at this broker of a topic name at the remote one.
func (ts Topics) ToLocal(name string) string {
	for i := range ts {
		t := &ts[i]
		if t.Direction&In != 0 && (t.Local != "" || t.Remote != "") && topic.Match(t.RemoteFilter(), name) {
			return t.Local + strings.TrimPrefix(name, t.Remote)
		}
	}
	return name
}
