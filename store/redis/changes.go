package redis

import (
	"context"
	"strconv"
	"strings"

	"picket/session"
	"picket/store"
)

// The retained messages of all nodes are changed in one order: each change has a version, its place in the stream of the changes. It has two numbers there, the epoch and one that is
// counted in it (functions.lua), which are one here.
const versionBits = 40

func versionOf(epoch, number int64) uint64 { return uint64(epoch)<<versionBits | uint64(number) }

// parseVersion reads a version as it stands in the stream; 0 if it is none.
func parseVersion(id string) uint64 {
	first, second, _ := strings.Cut(id, "-")
	epoch, err1 := strconv.ParseInt(first, 10, 64)
	number, err2 := strconv.ParseInt(second, 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return versionOf(epoch, number)
}

func idOf(version uint64) string {
	return strconv.FormatUint(version>>versionBits, 10) + "-" + strconv.FormatUint(version&(1<<versionBits-1), 10)
}

// noteVersions notes which versions the changes of a group have: last is that of the last one.
func (s *Store) noteVersions(g *sent, last uint64) {
	if last == 0 {
		return
	}
	s.shared.saw(last)
	version := last - g.changes
	for _, b := range g.batches {
		for op := range b.Ops() {
			if op.Kind == store.Change {
				version++
				b.SetVersion(version)
			}
		}
	}
}

// saw notes that there is a version.
func (x *shared) saw(version uint64) {
	for epoch := version >> versionBits; ; {
		known := x.epoch.Load()
		if epoch <= known || x.epoch.CompareAndSwap(known, epoch) {
			return
		}
	}
}

// beginEpoch begins one if the master is another process than the last one: it may lack changes whose versions are known already.
func (s *Store) beginEpoch(ctx context.Context, l *link, server string) error {
	if !s.options.Shared || server == s.committer.server {
		return nil
	}
	id, err := l.call(ctx, "picket1_epoch", []string{s.key(keyChanges)}, []string{strconv.FormatUint(s.shared.epoch.Load(), 10)}).ToString()
	if err == nil {
		s.committer.server = server
		s.shared.saw(parseVersion(id))
	}
	return err
}

// changesAtOnce is how many changes are asked for at a time.
const changesAtOnce = 1000

// Changes implements [store.Shared].
func (s *Store) Changes(ctx context.Context, after uint64) (all []store.Changed, complete bool, err error) {
	key := s.key(keyChanges)
	first, err := s.ask(ctx, s.client.B().Xrange().Key(key).Start("-").End("+").Count(1).Build()).AsXRange()
	if err != nil {
		return nil, false, err
	}
	newest, err := s.Newest(ctx)
	if err != nil || newest == after {
		return nil, err == nil, err
	}
	if newest < after || len(first) == 0 {
		return nil, false, nil // the master has lost some
	}
	if oldest := parseVersion(first[0].ID); oldest > after+1 {
		return nil, false, nil // some are not listed any more
	}
	entries, err := s.ask(ctx, s.client.B().Xrange().Key(key).Start("("+idOf(after)).End("+").Count(changesAtOnce).Build()).AsXRange()
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		c := store.Changed{Topic: e.FieldValues["t"], Version: parseVersion(e.ID)}
		if s.shared.saw(c.Version); c.Topic == "" {
			return nil, false, nil
		}
		all = append(all, c)
	}
	return all, true, nil
}

// Newest implements [store.Shared].
func (s *Store) Newest(ctx context.Context) (uint64, error) {
	last, err := s.ask(ctx, s.client.B().Xrevrange().Key(s.key(keyChanges)).End("+").Start("-").Count(1).Build()).AsXRange()
	if err != nil || len(last) == 0 {
		return 0, err
	}
	version := parseVersion(last[0].ID)
	s.shared.saw(version)
	return version, nil
}

// AllRetained implements [store.Shared].
func (s *Store) AllRetained(ctx context.Context, do func(*session.Message)) error {
	return s.eachRetained(ctx, func(m *session.Message, _ store.Ref) { do(m) })
}

// Retained implements [store.Shared].
func (s *Store) Retained(ctx context.Context, topics []string) ([]*session.Message, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	values, err := s.ask(ctx, s.client.B().Hmget().Key(s.key(keyRetained)).Field(topics...).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	all := make([]*session.Message, len(topics))
	for i := range values {
		if values[i].IsNil() {
			continue
		}
		record, err := values[i].ToString()
		if err != nil {
			return nil, err
		}
		if all[i], _, err = s.retained(topics[i], record); err != nil {
			return nil, err
		}
	}
	return all, nil
}
