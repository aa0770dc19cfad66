// Package store is what a broker needs of something that keeps sessions, queued and retained messages beyond its own life: the
// interface, the plain records, and the part of every implementation that has nothing to do with where the bytes go. store/local
// keeps them in a directory of this machine.
//
// # How a broker uses it
//
// It opens a store, builds its state from [Store.Start], and from then on tells the store of every change. Changes are gathered in a
// [Batch], whose operations become durable together or not at all, and handed over by [Store.Commit], which neither blocks nor does
// input or output. Each batch is settled by itself, in whatever order the store gets it done: then [Batch.Settled] is true, and those who asked for it with
// [Batch.Await] are told. What the broker may say to a client only then (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, CONNACK) waits
// in a queue beside the connection, in order, with its batch. Commit says whether there is anything to wait for.
//
// One routed run of messages is one batch: [Batch.Enqueue] for each receiver whose session survives, and [Batch.Receive] for the
// publisher's QoS 2 packet identifiers. Everything else is a small batch of its own.
//
// # Queues
//
// Every message that is queued for a session which survives its connection, sent at once or not, has the session's next sequence number;
// the session counts them from 1. Its packet identifier follows from it ([session.PacketID]), so it needs no record, and is the same
// after a restart (MQTT-4.4.0-1). Numbers that nothing was queued under are no matter.
//
// Enqueue returns a [Ref], and so does [Store.Read]. It is all that the window of messages in flight has to keep: with it
// [Batch.Release] notes that PUBREC has come and PUBREL is due, and [Batch.Remove] that the message is done with. What is removed
// while it still waits to be written is not written at all; a batch that is empty for that reason is settled without touching the
// disk. To give fast clients a chance for that, a message of QoS 1 for a client that is connected waits for one or two milliseconds.
//
// A message of QoS 2 must not be sent before its batch is settled; otherwise a crash in between would give it another packet
// identifier. The others may go out at once.
//
// [Store.Read] reads a queue from some sequence number on, with what has not been written yet. It may block; a broker calls it on a
// goroutine, in batches of some tens of KiB, and keeps no more of an online session's queue in memory, and nothing of an offline one's.
//
// # Order
//
// Operations on one entry of a queue take effect in the order of the calls that add them to their batches: it is enough that these are
// made under the session's lock, and batches may be committed later, in any order. All other operations (records, subscriptions, received
// identifiers, retained messages) take effect in the order of Commit: where two goroutines could change the same thing, Commit belongs
// under the lock that orders the change in memory. Commit takes no lock of the broker's and calls nothing back, so that is always possible.
// The retained message of a topic therefore is a batch of its own, committed under a lock that also covers the change of the
// broker's tree; the publisher's acknowledgement waits for both.
//
// # When it cannot be written
//
// While the disk is full ([ErrFull]) or fails ([ErrFailed]), batches that add something are refused as a whole: [Handler.Failed] hands them
// back, and [Batch.Ops] says what has to be undone. Nothing of them is kept. Batches that only remove or release never fail: they
// go through on a reserve of space, or wait until the store works again, which it does by itself. [Handler.Health] tells when
// that state changes.
//
// A store bounds what waits in its memory. While [Store.Full] is true, publishers have to be held back (by not reading from their connections);
// [Handler.Room] tells when to go on.
//
// # Several nodes
//
// A store that many nodes share implements the same interface. Nothing here assumes that a read is cheap: the broker reads at the
// start and by Read and Expired, all of which take a context, and everything that removes something brings along what has to be
// known for that. Message numbers are given out by the store, so a node's can be told from another's. [Shared] is what such a store has beside that: every session that
// a node has taken has a fence, a number that rises with each change of the owner, and what a node changes of sessions that are another's by now is refused with
// [ErrFenced], operation by operation: Failed gets a batch that yields just these, and the others are kept.
package store

import (
	"context"
	"errors"

	"picket/session"
	"picket/topic"
)

// Errors of [Handler.Failed] and [Handler.Health]. They wrap what the system said.
var (
	// ErrFull says that there is no space for more: 0x97 to a client of MQTT 5.0.
	ErrFull = errors.New("the store has no space left")
	// ErrFailed says that writing failed for another reason; the store tries to open itself again. 0x83 to a client of MQTT 5.0.
	ErrFailed = errors.New("the store cannot write")
	// ErrFenced says that another node has the session: nothing is written for it by this one any more. 0x8E to its client.
	ErrFenced = errors.New("another node has the session")
	// ErrClosed says that [Store.Close] has been called.
	ErrClosed = errors.New("the store is closed")
)

// Store keeps sessions and messages. All methods may be called by any goroutine.
type Store interface {
	// Start reads what there is and hands it to h, before it returns, on the caller's goroutine. It has to be called once, before anything
	// else. Damage that is found does not make it fail: what cannot be read is moved aside and reported, and the rest is loaded.
	Start(ctx context.Context, h Handler) error

	// NewSession returns the handle of a new session, which the store knows from [Batch.Save] on. It does no input or output.
	NewSession(clientID string) *Session

	// NewMessageID returns the next number for [session.Message.ID]. Every message that is given to a batch must have one.
	NewMessageID() uint64

	// Commit hands a batch over and tells whether anything in it has to be waited for, by [Batch.Await]. It never blocks. The batch belongs to the
	// store from then on, and must not be added to.
	Commit(b *Batch) (awaited bool)

	// Read appends to into the entries of a session's queue from sequence number from on, in order: at most limit.Entries of them, and no
	// more once they hold limit.Bytes of payload. more tells whether there are further ones. It shows the queue as it was at some moment during the
	// call. An entry whose batch has not been committed yet ends what is read, so that it is possible to get none and more.
	Read(ctx context.Context, s *Session, from uint64, limit Limit, into []Entry) (entries []Entry, more bool, err error)

	// Expired lists up to n messages whose expiry, in Unix seconds, is not after now, the oldest first. Each has to be answered: by Remove or, if
	// it is on its way already, by Keep; if it is retained, by Unretain. Otherwise it is listed again.
	Expired(ctx context.Context, now int64, n int) ([]Expired, error)

	// Full tells whether so much waits to be written that publishers have to be held back.
	Full() bool

	// Sync returns when everything committed before is durable, whatever persistence_sync says.
	Sync(ctx context.Context) error

	// Stats returns what there is and what has been done.
	Stats() Stats

	// Close writes what waits and ends the store. Batches committed afterwards are dropped.
	Close() error
}

// Shared is a store that several nodes use at once. Who has which session is decided outside of it: the store is told. Methods with a then do not block, and each calls then once, on
// the store's goroutine, unless it returns an error because the store is being closed. Retained messages are all nodes': they are changed by [Batch.Change], and [Store.Start] hands none over.
type Shared interface {
	Store

	// Serve has everything be committed as an incarnation of this node from now on; commits before the first call wait for it. What has been committed and is not settled
	// is written as the new incarnation's, which is to say that what belongs to sessions that the node has not taken again is refused.
	Serve(incarnation uint64)

	// Own makes a session known that is this node's from now on, with its fence: if it is stored, it is read and handed to [Handler.Session] before then is called; if it is
	// not, or another node owns it already, then follows at once. [Store.NewSession] makes handles for client identifiers that are this node's, and no others can be written.
	Own(clientID string, fence uint64, then func(error)) error

	// Changes lists what retained messages have changed after a version, by all nodes, in order: some of them, and there may be more. complete is false where that is not known any more,
	// so that all have to be read.
	Changes(ctx context.Context, after uint64) (all []Changed, complete bool, err error)

	// Newest is the version of the last change; 0: there was none.
	Newest(ctx context.Context) (uint64, error)

	// Retained reads the retained messages of topics, as they are now; nil stands for none.
	Retained(ctx context.Context, topics []string) ([]*session.Message, error)

	// AllRetained calls do with each retained message that there is from before the call until after it, as it was meanwhile.
	AllRetained(ctx context.Context, do func(*session.Message)) error

	// Let lets a session go: then is called when all that was committed for it is settled. Afterwards its handle is over, and what is added for it is ignored.
	Let(clientID string, then func(error)) error
}

// Changed is a change of the retained message of a topic.
type Changed struct {
	Topic   string
	Version uint64 // higher than that of all before it, whichever their topics
}

// Handler is the broker as a store sees it. Session and Retained are called by [Store.Start] on its caller's goroutine. All methods may be called later, by one
// goroutine of the store's at a time, which does nothing else meanwhile: they must not block, and must not call Sync or Close. A store that several nodes
// share hands over then what has come to this one.
type Handler interface {
	// Session hands over a session, with all that belongs to it but its queue.
	Session(s *Session, state State)
	// Retained hands over the retained message of a topic; nil: it has none any more.
	Retained(topic string, m *session.Message)

	// Failed hands a batch back that has not been kept, before it counts as settled. With [ErrFenced] it yields the operations that were refused only, which may remove
	// things, too.
	Failed(b *Batch, err error)
	// Room says that Full has become false.
	Room()
	// Health says that writing has become impossible, and why (ErrFull, ErrFailed), or nil when it works again.
	Health(err error)
}

// Limit bounds what one [Store.Read] returns.
type Limit struct {
	Entries int
	Bytes   int // of payload
}

// State is what a store keeps of a session besides its queue.
type State struct {
	Record        Record
	Subscriptions map[string]topic.Options // by filter
	Received      []uint16                 // QoS 2 packet identifiers that wait for PUBREL, ascending
	Backlog       Backlog
}

// Record is a session's own record.
type Record struct {
	Expiry    uint32 // seconds that it outlives its connection; 0xFFFFFFFF: for ever
	Offline   int64  // Unix seconds since when it has no connection; 0: it had one when the record was written
	Next      uint64 // a sequence number that is not lower than any given out before the record was written
	Sent      uint64 // sequence numbers below may have been sent
	User      string
	Named     bool   // a user name was given
	Certified bool   // it came from a client certificate
	Listener  string // names the listener that the client came in by, to find its rules again
	Mount     string // prefix of every topic of the client
	Will      *Will
	Fence     uint64 // rises with each change of the owner, where several nodes share the store
}

// Will is a will message that has not been published.
type Will struct {
	Message *session.Message // Expires is not set: its time runs from when it is published
	Expiry  uint32           // its message expiry interval in seconds
	Expires bool             // there is an expiry interval
	Delay   uint32           // seconds after the end of the connection
	Due     int64            // Unix seconds when it is to be published; 0: its client was connected
}

// Backlog sums up a session's queue.
type Backlog struct {
	First, Last uint64 // lowest and highest sequence number; undefined when there is no entry
	Entries     int
	Bytes       int64 // of payload
	Released    int   // entries that wait for PUBCOMP only
}

// Ref names an entry of a queue, and is all that is needed to release or remove it.
type Ref struct {
	Seq     uint64
	ID      uint64 // the number of its message, where that lies outside of the queue; else 0
	Expires uint32 // Unix seconds; 0: never
	Size    uint32 // bytes that the entry takes up in a store, near enough
}

// Entry is one entry of a session's queue.
type Entry struct {
	Ref              Ref
	session.Delivery        // Message is nil if Released or Damaged; Seq is the reference's
	Damaged          bool   // it cannot be read and can only be removed; the store has said so in the log
	Batch            *Batch // not nil: it is durable when this one is settled, and of QoS 2 it must not be sent before
}

// Expired is a message whose time is over: of a session's queue, or retained.
type Expired struct {
	Session *Session // nil: retained
	Ref     Ref
	Bytes   int    // of payload
	Topic   string // of the retained message
}

// Subscription is a topic filter and its options.
type Subscription struct {
	Filter  string
	Options topic.Options
}

// Item is one thing that a store holds, for those who look at all of it. Which fields are set depends on its kind: the first is.
type Item struct {
	Record   *Record // a session
	Sub      *Subscription
	Received uint16
	Entry    *Entry // an entry of a queue
	Retained *session.Message

	Session  uint64 // all but Retained
	ClientID string
}

// Stats is what a store holds and has done since it was opened.
type Stats struct {
	Sessions int
	Entries  int64 // in all queues
	Bodies   int   // messages that lie outside of queues because several of them refer to it
	Live     int64 // bytes of all records, near enough
	Disk     int64 // bytes on disk
	Pending  int64 // bytes that wait to be written
	Groups   uint64
	Written  uint64 // operations written
	Skipped  uint64 // operations that did not have to be written any more
	Syncs    uint64 // calls of fsync
	Failed   uint64 // batches handed back
}
