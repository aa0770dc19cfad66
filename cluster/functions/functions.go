// Package functions turns what a cluster's machine asks of Redis into calls of the library picket2, and their answers into what the machine takes.
package functions

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"picket/cluster/machine"
	"picket/cluster/wire"
)

// Library is the source of the functions, for FUNCTION LOAD.
//
//go:embed nodes.lua
var Library string

// MostLetters is how many letters of a mailbox are read at a time.
const MostLetters = 64

// Keys are where things lie. Prefix is what all keys begin with; Name is what stands for a client identifier in keys.
type Keys struct {
	Prefix string
	Name   func(clientID string) string
}

func (k *Keys) session(clientID string) string { return k.Prefix + "s:" + k.Name(clientID) }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// Call is the call of a command: a function, its keys and its arguments.
func (k *Keys) Call(c machine.Command) (name string, keys, args []string) {
	keys = []string{k.Prefix + "n"}
	switch c := c.(type) {
	case machine.Join:
		return "picket2_join", keys, []string{c.Name, c.Address, c.Fingerprint}
	case machine.Beat:
		return "picket2_beat", keys, []string{number(c.Me), strconv.FormatInt(c.Beat, 10)}
	case machine.Rows:
		return "picket2_rows", keys, nil
	case machine.Bury:
		return "picket2_bury", keys, []string{number(c.Me), number(c.Incarnation), strconv.FormatInt(c.Beat, 10)}
	case machine.Peek:
		return "picket2_peek", append(keys, k.session(c.Client)), []string{number(c.Me)}
	case machine.TakeOver:
		return "picket2_takeover", append(keys, k.session(c.Client)), []string{number(c.Me), k.Name(c.Client), c.Client, number(c.Fence)}
	case machine.Adopt:
		args = []string{number(c.Me), number(c.Dead), strconv.Itoa(c.N)}
		for _, s := range c.Got {
			args = append(args, k.Name(s.Client), number(s.Fence))
		}
		return "picket2_adopt", keys, args
	case machine.Seen:
		args = []string{number(c.Me)}
		for _, s := range c.Sessions {
			keys, args = append(keys, k.session(s.Client)), append(args, number(s.Fence))
		}
		return "picket2_seen", keys, args
	case machine.Drop:
		return "picket2_drop", append(keys, k.session(c.Client)), []string{number(c.Me), k.Name(c.Client), number(c.Fence)}
	case machine.Post:
		var frames []byte
		for _, f := range c.Frames {
			frames = wire.Append(frames, f)
		}
		return "picket2_post", keys, []string{number(c.Me), number(c.To), string(frames)}
	case machine.Collect:
		return "picket2_collect", keys, []string{number(c.Me), number(c.Upto), strconv.Itoa(MostLetters)}
	}
	panic(fmt.Sprintf("no function for %T", c))
}

// Answer is what a machine takes as the answer to a command. reply is what Redis has answered (texts as string, numbers as int64, lists as []any), err its error or that of the
// connection, which is returned as it is.
func Answer(c machine.Command, reply any, err error) (any, error) {
	switch {
	case err == nil:
	case strings.HasPrefix(err.Error(), "PICKETFENCED"):
		return nil, fmt.Errorf("%w: %w", machine.ErrFenced, err)
	case strings.HasPrefix(err.Error(), "PICKETCHANGED"):
		return nil, fmt.Errorf("%w: %w", machine.ErrChanged, err)
	default:
		return nil, err
	}
	r := &reader{}
	var value any
	switch c.(type) {
	case machine.Join:
		value = r.number(reply)
	case machine.Rows:
		value = r.rows(r.list(reply))
	case machine.Peek:
		l := r.list(reply)
		value = machine.Peeked{Owner: r.number(r.at(l, 0)), Fence: r.number(r.at(l, 1))}
	case machine.TakeOver:
		value = r.session(r.list(reply))
	case machine.Adopt:
		all := []machine.Session{}
		for _, x := range r.list(reply) {
			all = append(all, r.session(r.list(x)))
		}
		value = all
	case machine.Collect:
		value = r.letters(r.list(reply))
	}
	if r.err != nil {
		return nil, r.err
	}
	return value, nil
}

// errForm says that an answer does not have its form: the library has been changed, or the server is not Redis.
var errForm = errors.New("the answer of a function of Redis does not have its form")

// reader takes an answer apart. The first error stays.
type reader struct{ err error }

func (r *reader) fail() { r.err = errForm }

func (r *reader) list(v any) []any {
	l, ok := v.([]any)
	if !ok && v != nil {
		r.fail()
	}
	return l
}

func (r *reader) at(l []any, i int) any {
	if i >= len(l) {
		r.fail()
		return ""
	}
	return l[i]
}

func (r *reader) text(v any) string {
	s, ok := v.(string)
	if !ok {
		r.fail()
	}
	return s
}

func (r *reader) number(v any) uint64 {
	n, err := strconv.ParseUint(r.text(v), 10, 64)
	if err != nil {
		r.fail()
	}
	return n
}

func (r *reader) rows(l []any) (all []machine.Row) {
	for i := 0; i < len(l) && r.err == nil; i += 6 {
		all = append(all, machine.Row{Incarnation: r.number(l[i]), Name: r.text(r.at(l, i+1)), Address: r.text(r.at(l, i+2)), Fingerprint: r.text(r.at(l, i+3)),
			Beat: int64(r.number(r.at(l, i+4))), Dead: r.text(r.at(l, i+5)) != ""})
	}
	return all
}

// session reads one; its State is a map[string]string of all fields of its hash.
func (r *reader) session(l []any) machine.Session {
	s := machine.Session{Client: r.text(r.at(l, 0)), Fence: r.number(r.at(l, 1)), Before: r.number(r.at(l, 2)), Owes: r.text(r.at(l, 3)) != ""}
	fields := map[string]string{}
	for i := 5; i < len(l); i += 2 {
		fields[r.text(l[i])] = r.text(r.at(l, i+1))
	}
	s.State = fields
	return s
}

func (r *reader) letters(l []any) (all []machine.Letter) {
	for i := 0; i < len(l) && r.err == nil; i += 3 {
		letter := machine.Letter{Place: r.number(l[i]), From: r.number(r.at(l, i+1))}
		for data := []byte(r.text(r.at(l, i+2))); len(data) > 0; {
			if len(data) < 4 {
				r.fail()
				break
			}
			n, err := wire.Length([4]byte(data), wire.MaxFrame)
			if err != nil || n > len(data)-4 {
				r.fail()
				break
			}
			f, err := wire.Decode(data[4 : 4+n])
			if err != nil {
				r.err = err
				break
			}
			letter.Frames = append(letter.Frames, f)
			data = data[4+n:]
		}
		all = append(all, letter)
	}
	return all
}
