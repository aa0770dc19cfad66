// Package live has users and rights in force: it keeps them in mosquitto's dynamic security file, carries out the commands that come on $CONTROL/dynamic-security/v1,
// and answers what package access asks.
//
// A change is first on the disk, then in force, then answered, and then the connections end whom it is about. So who has an answer finds the change after a crash, and
// who has none may find it or not.
package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/rights"
	"picket/session"
	"picket/topic"
)

// The topics of commands and of their answers.
const (
	CommandTopic = "$CONTROL/dynamic-security/v1"
	AnswerTopic  = CommandTopic + "/response"
)

// maxWaiting bounds the commands that wait to be carried out, in bytes.
const maxWaiting = 4 << 20

// Rights is the users and rights of one file, which nobody else may write while it is open. It is the [access.Authority] of every set of rules that names the file.
//
// What is in force is an immutable state behind an atomic pointer. One goroutine, from Serve to Close, carries out commands, in the order in which they have come; it
// and Reload change what is in force, under changing.
type Rights struct {
	path   string
	beside bool // a file that is not there has nobody in it yet
	log    *logging.Logger
	now    atomic.Pointer[inForce]
	told   Told // nil: nobody is

	changing sync.Mutex
	written  os.FileInfo // the file as it was last read or written; guarded by changing

	mu      sync.Mutex // of what follows
	waiting []command
	bytes   int // of their payloads
	refused int // messages that came when too many waited, and are to be told so
	wake    chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// inForce judges by a state: with what logins of unknown names are measured against, for one that is in force.
type inForce struct {
	*rights.State
	decoys []*rights.Password
}

// Told is given commands, who has published them, and what they were answered with.
type Told func(by string, commands, answers []byte)

// command is a message that waits to be carried out.
type command struct {
	rights.Order
	answer chan<- *rights.Done // has room for the answer, nil for [rights.ErrRevision]; a channel that is nil: it is published
}

// Open reads a file. It fails with an [*access.FileError] when it cannot be used, and says in the log what is wrong with parts of it, and if it cannot be written.
func Open(path string, log *logging.Logger) (*Rights, error) {
	return open(&Rights{path: path, log: log})
}

// OpenBeside does the same with a file that adds users to those of the password file ([access.Config.RightsBeside]). It is made with the first change.
func OpenBeside(path string, log *logging.Logger) (*Rights, error) {
	return open(&Rights{path: path, log: log, beside: true})
}

func open(r *Rights) (*Rights, error) {
	r.wake = make(chan struct{}, 1)
	if err := r.Reload(); err != nil {
		return nil, err
	}
	if err := r.tryFolder(); err != nil {
		r.log.Cause(logging.Warning, cause.RightsNotSaved, "Warning: Users and rights in %s can be read, but not changed: %v.", r.path, err)
	}
	return r, nil
}

// nothingByDefault makes a new file one in which a user is sent only what its rules allow: an offline session may have subscribed under others.
const nothingByDefault = `{"commands":[{"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientReceive","allow":false}]}]}`

// tryFolder finds out whether a file can be written beside the old one.
func (r *Rights) tryFolder() error {
	target := r.path
	if followed, err := filepath.EvalSymlinks(target); err == nil {
		target = followed
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Reload reads the file again, and puts what it says in force: another program may have changed it. Whoever is connected is not looked at; the caller has that done
// with [broker.Broker.Reload].
func (r *Rights) Reload() error {
	r.changing.Lock()
	defer r.changing.Unlock()
	data, warnings, err := access.ReadRights(r.path, r.beside)
	switch {
	case r.beside && errors.Is(err, fs.ErrNotExist):
		r.put(rights.New().Apply([]byte(nothingByDefault), "", newPassword).State)
		r.written = nil
		return nil
	case err != nil:
		return err
	}
	s, texts, err := rights.Load(data)
	if err != nil {
		return access.RightsError(r.path, r.beside, err)
	}
	for _, w := range warnings {
		r.log.Printf(w.Type, "%s", w.Text)
	}
	for _, text := range texts {
		r.log.Printf(logging.Warning, "Warning: %s: %s.", r.path, text)
	}
	r.put(s)
	r.written, err = os.Stat(r.path)
	return err
}

// Path returns the file's name as it was given.
func (r *Rights) Path() string { return r.path }

// Beside tells whether the file stands beside others ([OpenBeside]).
func (r *Rights) Beside() bool { return r.beside }

// Judge makes the file the [access.Authority] of the sets of rules that name it.
func (r *Rights) Judge(all []access.Config) {
	for i := range all {
		if all[i].RightsFile == r.path {
			all[i].Authority = r
		}
	}
}

// State returns what is in force.
func (r *Rights) State() *rights.State { return r.now.Load().State }

// put puts a state in force.
func (r *Rights) put(s *rights.State) {
	decoys := s.Passwords()
	slices.SortFunc(decoys, func(a, b *rights.Password) int { return a.Iterations - b.Iterations }) // so that a name meets the same cost after a change
	if len(decoys) == 0 {
		decoys = []*rights.Password{{Salt: make([]byte, rights.SaltSize), Hash: make([]byte, rights.HashSize), Iterations: access.DefaultIterations}}
	}
	r.now.Store(&inForce{s, decoys})
}

// Control takes a command, to be carried out in its turn. It is the [broker.ControlHandler] of CommandTopic, which a broker is to have from its start on.
func (r *Rights) Control(from *access.Client, payload []byte) {
	payload = bytes.Clone(payload[:min(len(payload), rights.MaxCommands+1)]) // a longer one is refused by its length
	if by := rights.By(from.ID, from.Username); !r.take(command{Order: rights.Order{By: by, Commands: payload}}) {
		r.log.Cause(logging.Warning, cause.ControlBusy, "Warning: A command from %s is not carried out: too many wait.", by)
	}
}

// Do carries out commands in their turn, or says what they would lead to. It fails with [rights.ErrRevision] when they are for another state. They may be carried out also
// when ctx ends before the answer is there.
func (r *Rights) Do(ctx context.Context, o rights.Order) (*rights.Done, error) {
	answer := make(chan *rights.Done, 1)
	if !r.take(command{o, answer}) {
		return nil, errBusy
	}
	select {
	case done := <-answer:
		if done == nil {
			return nil, rights.ErrRevision
		}
		return done, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errBusy refuses commands that nobody has published.
var errBusy = errors.New("too many commands wait")

// Serve carries out commands for a broker until Close, those first that have come before. told is given the commands that clients have published and their answers; nil:
// nobody is. It is called once.
func (r *Rights) Serve(b *broker.Broker, told Told) {
	r.told = told
	ctx, stop := context.WithCancel(context.Background())
	r.mu.Lock()
	r.stop = stop
	r.mu.Unlock()
	mouth := b.Local(nil, nil)
	r.done.Go(func() {
		defer mouth.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			for ctx.Err() == nil {
				all, refused := r.takeAll()
				if len(all)+refused == 0 {
					break
				}
				r.carryOut(ctx, b, mouth, all)
				for range refused {
					r.publish(ctx, mouth, r.State().Refused("Too many commands wait").Answer(""))
				}
			}
		}
	})
}

// Close ends the taking of commands. One that is being carried out is finished.
func (r *Rights) Close() {
	r.mu.Lock()
	stop := r.stop
	r.mu.Unlock()
	if stop != nil {
		stop()
		r.done.Wait()
	}
}

// take puts a command in line, unless too many wait.
func (r *Rights) take(c command) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	fits := r.bytes+len(c.Commands) <= maxWaiting
	switch {
	case fits:
		r.waiting, r.bytes = append(r.waiting, c), r.bytes+len(c.Commands)
	case c.answer == nil:
		r.refused++
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return fits
}

// takeAll takes the commands that wait, so that one write to the disk is enough for all of them.
func (r *Rights) takeAll() (all []command, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, refused = r.waiting, r.refused
	r.waiting, r.bytes, r.refused = nil, 0, 0
	return all, refused
}

// carryOut carries out commands: on the disk, in force, answered; then connections end.
func (r *Rights) carryOut(ctx context.Context, b *broker.Broker, mouth *broker.Local, all []command) {
	outcomes, not := r.change(all)
	for i, o := range outcomes {
		if o == nil {
			all[i].answer <- nil
			continue
		}
		if not == "" && !all[i].DryRun {
			for _, line := range o.Log {
				r.log.Printf(logging.Info, "%s", line)
			}
		}
		done := o.done
		if done.Answer = o.Answer(not); all[i].answer != nil {
			all[i].answer <- &done
			continue
		}
		if r.told != nil {
			r.told(all[i].By, all[i].Commands, done.Answer)
		}
		r.publish(ctx, mouth, done.Answer)
	}
	if not != "" {
		return
	}
	for i, o := range outcomes {
		if o != nil && !all[i].DryRun && !o.Ends.Empty() {
			b.DisconnectEach(func(c *access.Client) bool { return r.ends(c, &o.Ends) }, cause.DisconnectedByAdmin, "users or rights were changed")
		}
	}
}

// ends tells whether a client's connection ends with a change.
func (r *Rights) ends(c *access.Client, e *rights.Ends) bool {
	return r.judges(c) && e.Include(c.Username, !c.HasUsername)
}

// judges tells whether the file is asked about a client's listener.
func (r *Rights) judges(c *access.Client) bool {
	return c.Policy() != nil && c.Policy().Config().Authority == r
}

// Effect says what an order would do to those who are there, away or connected: whose connections would end, and which subscriptions would not be allowed any more.
func (r *Rights) Effect(ctx context.Context, b *broker.Broker, d *rights.Done) (broker.Effect, error) {
	before, after := &inForce{State: d.Before}, &inForce{State: d.After}
	lost := func(c *access.Client, filter string) bool {
		return d.Before != d.After && r.judges(c) && gets(c.JudgedBy(before), filter) && !gets(c.JudgedBy(after), filter)
	}
	return b.Effect(ctx, func(c *access.Client, _ netip.Addr) bool { return r.ends(c, &d.Ends) }, lost)
}

// gets tells whether a client may have a subscription, and is sent something by it as far as that can be said: what a filter with a wildcard brings is judged message by
// message.
func gets(c *access.Client, filter string) bool {
	_, name, _ := topic.SplitShare(filter)
	return c.Subscribe(filter).Allow && (topic.HasWildcard(name) || c.Deliver(name))
}

// outcome is what a message with commands has led to, or would have.
type outcome struct {
	*rights.Outcome
	done rights.Done
}

// change applies commands and puts what they lead to on the disk and in force. An outcome is nil where the state is not the one that they are for. not is empty, or why it
// is not in force.
func (r *Rights) change(all []command) (outcomes []*outcome, not string) {
	r.changing.Lock()
	defer r.changing.Unlock()
	before := r.State()
	s := before
	for _, c := range all {
		if c.If != "" && c.If != s.Revision() {
			outcomes = append(outcomes, nil)
			continue
		}
		o := s.Carry(&c.Order, newPassword)
		outcomes = append(outcomes, &outcome{o, rights.Done{Before: s, After: o.State, Ends: o.Ends}})
		if !c.DryRun {
			s = o.State
		}
	}
	if s == before {
		return outcomes, ""
	}
	if err := r.write(s); err != nil {
		r.log.Cause(logging.Error, cause.RightsNotSaved, "Error: Users and rights could not be written to %s, and stay as they were: %v.", r.path, err)
		return outcomes, fmt.Sprintf("Not changed: the file of users and rights cannot be written (%s)", cause.RightsNotSaved)
	}
	r.put(s)
	return outcomes, ""
}

// write puts a state on the disk. r.changing is held.
func (r *Rights) write(s *rights.State) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	r.written, err = access.ReplaceOwn(r.path, data, r.written, access.MaxFileSize)
	return err
}

func (r *Rights) publish(ctx context.Context, mouth *broker.Local, answer []byte) {
	if err := mouth.Publish(ctx, &session.Message{Topic: AnswerTopic, Payload: answer}); err != nil && ctx.Err() == nil {
		r.log.Printf(logging.Warning, "Warning: The answer to a command could not be published: %v.", err)
	}
}

func newPassword(password string) (*rights.Password, error) {
	salt, hash := access.NewPBKDF2(password)
	return &rights.Password{Salt: salt, Hash: hash, Iterations: access.DefaultIterations}, nil
}

// seed makes the choice of a decoy, which nobody outside can foretell.
var seed = maphash.MakeSeed()

// decoy returns what an unknown name is measured against, so that it takes as long as a known one.
func (f *inForce) decoy(name string) *rights.Password {
	return f.decoys[maphash.String(seed, name)%uint64(len(f.decoys))]
}
