// Package topic holds topic names, topic filters, the index of subscriptions and the index of retained messages.
//
// It knows no sessions and no sockets: the index maps a filter to a key of the caller's.
package topic

// MaxLevels is how many levels (parts between slashes) a topic name or filter may have. mosquitto has the same limit: without
// one, a filter of 65,535 slashes would cost the index a hundred times its own size.
const MaxLevels = 201

// Options are a subscription's options (MQTT 5.0, 3.8.3.1).
type Options struct {
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
	Identifier        uint32 // Subscription Identifier, 0 = none
}
