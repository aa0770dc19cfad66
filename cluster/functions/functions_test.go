package functions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"picket/cluster/machine"
	"picket/cluster/simulation"
	"picket/cluster/wire"
	"picket/internal/testbed"
)

// server starts a redis-server that has the library.
func server(t *testing.T) rueidis.Client {
	t.Helper()
	port := testbed.Port(t)
	cmd := exec.Command("redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--logfile", "/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var c rueidis.Client
	testbed.Eventually(t, func() (err error) {
		c, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{fmt.Sprintf("127.0.0.1:%d", port)}, ForceSingleClient: true, DisableCache: true, DisableRetry: true})
		return err
	})
	t.Cleanup(c.Close)
	if err := c.Do(context.Background(), c.B().FunctionLoad().FunctionCode(Library).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	return c
}

func keys() *Keys {
	return &Keys{Prefix: "{model}", Name: func(id string) string { return "=" + id }}
}

// call carries a command out on Redis.
func call(c rueidis.Client, command machine.Command) (any, error) {
	name, keys, args := keys().Call(command)
	reply, err := c.Do(context.Background(), c.B().Fcall().Function(name).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).ToAny()
	return Answer(command, reply, err)
}

// script draws commands, of incarnations that live, are dead or have never been.
type script struct {
	*rand.Rand
	rows   []machine.Row
	fences map[string]uint64
	got    []machine.Session // of the last Adopt
	place  uint64            // of the last letter that was read
}

func (s *script) incarnation() uint64 {
	if len(s.rows) == 0 || s.IntN(20) == 0 {
		return s.Uint64N(8)
	}
	return s.rows[s.IntN(len(s.rows))].Incarnation
}

func (s *script) client() string { return string(rune('a' + s.IntN(6))) }

func (s *script) fence(client string) uint64 {
	if s.IntN(4) == 0 {
		return s.Uint64N(4)
	}
	return s.fences[client]
}

func (s *script) command() machine.Command {
	me, other, client := s.incarnation(), s.incarnation(), s.client()
	switch s.IntN(20) {
	case 0:
		return machine.Join{Name: string(rune('x' + s.IntN(3))), Address: "10.0.0.1:7883", Fingerprint: "ab"}
	case 1, 2:
		return machine.Beat{Me: me, Beat: s.Int64N(5)}
	case 3:
		return machine.Bury{Me: me, Incarnation: other, Beat: s.Int64N(5)}
	case 4:
		return machine.Peek{Me: me, Client: client}
	case 5, 6, 7, 8:
		return machine.TakeOver{Me: me, Client: client, Fence: s.fence(client)}
	case 9, 10, 11:
		got := s.got
		if s.IntN(3) == 0 {
			got = []machine.Session{{Client: client, Fence: s.fence(client)}}
		}
		return machine.Adopt{Me: me, Dead: other, Got: got, N: 1 + s.IntN(3)}
	case 12, 13:
		seen := machine.Seen{Me: me}
		for range 1 + s.IntN(4) {
			client := s.client()
			seen.Sessions = append(seen.Sessions, machine.Session{Client: client, Fence: s.fence(client)})
		}
		return seen
	case 14, 15:
		return machine.Post{Me: me, To: other, Frames: []wire.Frame{{Number: 1 + s.Uint64N(9), Body: &wire.Seen{Routes: 7}}, {Body: &wire.Beat{Have: s.Uint64N(9)}}}}
	case 16:
		return machine.Collect{Me: me, Upto: s.Uint64N(s.place + 2)}
	case 17, 18:
		return machine.Drop{Me: me, Client: client, Fence: s.fence(client)}
	}
	return machine.Rows{}
}

// note keeps what answers tell, so that commands that follow are likely to fit.
func (s *script) note(command machine.Command, value any) {
	switch v := value.(type) {
	case machine.Peeked:
		s.fences[command.(machine.Peek).Client] = v.Fence
	case machine.Session:
		s.fences[v.Client] = v.Fence
	case []machine.Session:
		s.got = nil
		for _, x := range v {
			s.fences[x.Client] = x.Fence
			s.got = append(s.got, machine.Session{Client: x.Client, Fence: x.Fence})
		}
	case []machine.Letter:
		s.place = 0
		for _, l := range v {
			s.place = max(s.place, l.Place)
		}
	}
}

// plain brings an answer of Redis and one of the model into the same form: order where none is promised, and filters in place of fields.
func plain(v any) any {
	session := func(x machine.Session) machine.Session {
		filters := []string{}
		switch state := x.State.(type) {
		case []string:
			filters = append(filters, state...)
		case map[string]string:
			for field := range state {
				if filter, ok := strings.CutPrefix(field, "u"); ok {
					filters = append(filters, filter)
				}
			}
		}
		slices.Sort(filters)
		x.State = filters
		return x
	}
	switch v := v.(type) {
	case machine.Session:
		return session(v)
	case []machine.Session:
		all := []machine.Session{}
		for _, x := range v {
			all = append(all, session(x))
		}
		slices.SortFunc(all, func(a, b machine.Session) int { return strings.Compare(a.Client, b.Client) })
		return all
	case []machine.Row:
		v = slices.Clone(v)
		slices.SortFunc(v, func(a, b machine.Row) int { return int(a.Incarnation) - int(b.Incarnation) })
		return append([]machine.Row{}, v...)
	case []machine.Letter:
		return append([]machine.Letter{}, v...)
	}
	return v
}

// TestFunctionsAgainstModel calls the functions of Redis and those of the simulation's model, some ten thousand times: the answers are the same, and so are the rows of all nodes
// after each call. The simulation so speaks of what Redis does.
func TestFunctionsAgainstModel(t *testing.T) {
	c := server(t)
	ctx := context.Background()
	calls, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if err := c.Do(ctx, c.B().Flushall().Build()).Error(); err != nil {
			rt.Fatal(err)
		}
		s := &script{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)), fences: map[string]uint64{}}
		model := simulation.NewState()
		for range rapid.IntRange(80, 120).Draw(rt, "calls") {
			if client, filter := s.client(), s.client(); s.IntN(10) == 0 && model.Subscribe(client, filter) {
				if err := c.Do(ctx, c.B().Hset().Key(keys().session(client)).FieldValue().FieldValue("u"+filter, "").Build()).Error(); err != nil {
					rt.Fatal(err)
				}
			}
			command := s.command()
			got, err := call(c, command)
			model.Pick = func(clients []string, n int) (picked []string) {
				sessions, _ := got.([]machine.Session)
				for _, client := range clients {
					if slices.ContainsFunc(sessions, func(x machine.Session) bool { return x.Client == client }) {
						picked = append(picked, client)
					}
				}
				if len(picked) != min(n, len(clients)) {
					rt.Fatalf("%+v takes %v of %v", command, picked, clients)
				}
				return picked
			}
			want, wantErr := model.Apply(command)
			if errors.Is(err, machine.ErrFenced) != errors.Is(wantErr, machine.ErrFenced) || errors.Is(err, machine.ErrChanged) != errors.Is(wantErr, machine.ErrChanged) || (err == nil) != (wantErr == nil) {
				rt.Fatalf("%T %+v: %v, want %v", command, command, err, wantErr)
			}
			if !reflect.DeepEqual(plain(got), plain(want)) {
				rt.Fatalf("%T %+v: %+v, want %+v", command, command, plain(got), plain(want))
			}
			if calls++; err != nil {
				refused++
			}
			s.note(command, got)
			rows, err := call(c, machine.Rows{})
			wantRows, _ := model.Apply(machine.Rows{})
			if err != nil || !reflect.DeepEqual(plain(rows), plain(wantRows)) {
				rt.Fatalf("after %T %+v: rows %+v, %v, want %+v", command, command, rows, err, wantRows)
			}
			s.rows = rows.([]machine.Row)
		}
		nothingLeft(rt, c, s.rows)
	})
	t.Logf("%d calls, %d of them refused", calls, refused)
}

// nothingLeft looks whether those that are dead have left a mailbox, or what they had adopted.
func nothingLeft(t *rapid.T, c rueidis.Client, rows []machine.Row) {
	all, err := c.Do(context.Background(), c.B().Keys().Pattern("{model}[gx]:*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range all {
		if !slices.ContainsFunc(rows, func(r machine.Row) bool { return !r.Dead && key[len("{model}g:"):] == number(r.Incarnation) }) {
			t.Fatalf("%s is left of an incarnation that does not live", key)
		}
	}
}

// Whatever a server answers, what does not have its form is an error.
func TestAnAnswerWithoutItsFormIsAnError(t *testing.T) {
	for _, c := range []struct {
		command machine.Command
		reply   any
	}{
		{machine.Join{}, "x"}, {machine.Join{}, int64(1)}, {machine.Rows{}, []any{"1", "a"}}, {machine.Rows{}, "x"}, {machine.Peek{}, []any{"1"}},
		{machine.TakeOver{}, []any{"c", "1", "0", ""}[:2]}, {machine.Adopt{}, []any{"c"}}, {machine.Collect{}, []any{"1", "2"}}, {machine.Collect{}, []any{"1", "2", "xyz"}},
		{machine.Collect{}, []any{"1", "2", "\x00\x00\x00\x09\x02"}}, {machine.Collect{}, []any{"1", "2", "\x00\x00\x00\x02\x63\x01"}},
	} {
		if v, err := Answer(c.command, c.reply, nil); err == nil {
			t.Errorf("%T: %v is read as %+v", c.command, c.reply, v)
		}
	}
}
