package store

import "context"

// None stands in the place of a store where nothing is kept beyond the broker's life, so that nobody has to ask whether there is one. It has no sessions
// (NewSession returns nil) and no numbers for messages, nothing in it has to be waited for, and it is never full.
type None struct{}

var _ Store = None{}

func (None) Start(context.Context, Handler) error { return nil }

func (None) NewSession(string) *Session { return nil }

func (None) NewMessageID() uint64 { return 0 }

func (None) Commit(*Batch) (awaited bool) { return false }

func (None) Read(_ context.Context, _ *Session, _ uint64, _ Limit, into []Entry) (entries []Entry, more bool, err error) {
	return into, false, nil
}

func (None) Expired(context.Context, int64, int) ([]Expired, error) { return nil, nil }

func (None) Full() bool { return false }

func (None) Sync(context.Context) error { return nil }

func (None) Stats() Stats { return Stats{} }

func (None) Close() error { return nil }
