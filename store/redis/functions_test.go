package redis

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"picket/session"
	"picket/store"
)

// model is what the functions work on: hashes and sets by key, where a set is a hash without values, and one that is empty is not there.
type model map[string]map[string]string

func (m model) set(key, field, value string) (fresh bool) {
	if m[key] == nil {
		m[key] = map[string]string{}
	}
	_, known := m[key][field]
	m[key][field] = value
	return !known
}

func (m model) remove(key, field string) (was bool) {
	if _, was = m[key][field]; was {
		if delete(m[key], field); len(m[key]) == 0 {
			delete(m, key)
		}
	}
	return was
}

func (m model) count(key, field string, by int) int {
	n, _ := strconv.Atoi(m[key][field])
	m.set(key, field, strconv.Itoa(n+by))
	return n + by
}

func (m model) unrefer(k []string, id string) {
	if _, ok := m[k[3]][id]; ok && m.count(k[3], id, -1) <= 0 {
		m.remove(k[3], id)
		m.remove(k[2], id)
	}
}

func (m model) ends(k []string, s, q, name, aside string) int {
	delete(m, s)
	m.remove(k[1], name)
	n := len(m[q])
	if n > 0 {
		m[aside] = m[q]
		delete(m, q)
		m.set(k[5], aside, "")
	}
	return -n
}

// apply does one operation; keys are named by their places, from 1 on.
func (m model) apply(k []string, name string, a []string) (entries int) {
	key := func(i int) string { n, _ := strconv.Atoi(a[i]); return k[n-1] }
	switch name {
	case "Q":
		for i := 1; i < len(a); i += 2 {
			if m.set(key(0), a[i], a[i+1]) {
				entries++
			}
		}
	case "B":
		n, _ := strconv.Atoi(a[2])
		if m.count(k[3], a[0], n) == n {
			m.set(k[2], a[0], a[1])
		}
	case "X":
		for _, field := range a[1:] {
			if m.remove(key(0), field) {
				entries--
			}
		}
	case "Y":
		if m.remove(key(0), a[1]) {
			m.unrefer(k, a[2])
			entries--
		}
	case "L":
		if was, ok := m[key(0)][a[1]]; ok {
			if was[1]&16 != 0 {
				m.unrefer(k, a[2])
			}
			m.set(key(0), a[1], a[3])
		}
	case "S":
		for i := 1; i < len(a); i += 2 {
			m.set(key(0), a[i], a[i+1])
		}
	case "D":
		for _, field := range a[1:] {
			m.remove(key(0), field)
		}
	case "N":
		if was, ok := m[key(0)]["n"]; ok && was != a[3] {
			entries = m.ends(k, key(0), key(1), a[2], key(4))
		}
		m.set(k[1], a[2], "")
		m.set(key(0), "n", a[3])
	case "Z":
		if m[key(0)]["n"] == a[3] {
			entries = m.ends(k, key(0), key(1), a[2], key(4))
		}
	case "R":
		m.set(k[4], a[0], a[1])
	case "F":
		m.remove(k[4], a[0])
	case "V":
		if m.remove(k[4], a[0]); len(a) > 1 {
			m.set(k[4], a[0], a[1])
		}
		number, _ := strconv.Atoi(m["model"]["number"])
		m.set("model", "number", strconv.Itoa(number+1))
		m.set(k[6], fmt.Sprintf("%d-%d", m.epoch(), number+1), a[0])
	case "G":
		h, err := store.DecodeEntryHead([]byte(m[k[4]][a[0]]), 0)
		if now, _ := strconv.Atoi(a[1]); err == nil && h.Ref.Expires > 0 && int(h.Ref.Expires) <= now {
			m.remove(k[4], a[0])
		}
	}
	return entries
}

// epoch is that of the versions of retained messages.
func (m model) epoch() int {
	n, _ := strconv.Atoi(m["model"]["epoch"])
	return n
}

// script draws operations.
type script struct {
	*rand.Rand
	asides int
	node   bool // they are a node's
}

const modelClients = 4

// keys are the fixed ones, a session's and a queue's of each client, and one to put a queue aside.
func (s *script) keys() []string {
	k := fixedKeys("{model}")
	if s.node {
		k = append(k, "{model}v")
	}
	for c := range modelClients {
		k = append(k, fmt.Sprintf("{model}s:%d", c), fmt.Sprintf("{model}q:%d", c))
	}
	s.asides++
	return append(k, fmt.Sprintf("{model}d:%d", s.asides))
}

// first is the place of the first session's key.
func (s *script) first() int {
	if s.node {
		return 8
	}
	return 7
}

func (s *script) op() (name string, a []string) {
	c := s.IntN(modelClients)
	first := s.first()
	hash, queue, aside := strconv.Itoa(first+2*c), strconv.Itoa(first+1+2*c), strconv.Itoa(first+2*modelClients)
	seq, id := sequence(s.Uint64N(30)), bodyName(1+s.Uint64N(5)<<40)
	inline := string(store.AppendEntry(nil, &store.Entry{Delivery: session.Delivery{QoS: 2, Released: true}}))
	shared := string(store.AppendEntry(nil, &store.Entry{Ref: store.Ref{ID: 1 + s.Uint64N(5)<<40, Expires: s.Uint32()}, Delivery: session.Delivery{QoS: 1, IDs: []uint32{7, 300}, Message: &session.Message{}}}))
	kept := string(store.AppendEntry(nil, &store.Entry{Ref: store.Ref{Expires: s.Uint32N(1000)}, Delivery: session.Delivery{QoS: 1, Retain: true, Message: &session.Message{Topic: seq, Payload: []byte(id)}}}))
	kinds := 11
	if s.node {
		kinds = 15
	}
	kind := s.IntN(kinds)
	if kind == 10 && !s.node {
		kind = 14
	}
	switch kind {
	case 0:
		return "Q", []string{queue, seq, inline, sequence(100 + s.Uint64N(30)), shared}
	case 1:
		return "B", []string{id, "body", strconv.Itoa(1 + s.IntN(3))}
	case 2:
		return "X", []string{queue, seq, sequence(s.Uint64N(30))}
	case 3:
		return "Y", []string{queue, sequence(100 + s.Uint64N(30)), id}
	case 4:
		return "L", []string{queue, sequence(s.Uint64N(130)), id, inline}
	case 5:
		return "S", []string{hash, "u" + seq, "1", "r", seq}
	case 6:
		return "D", []string{hash, "u" + seq, "i1"}
	case 7:
		return "N", []string{hash, queue, strconv.Itoa(c), strconv.Itoa(s.IntN(3)), aside}
	case 8:
		return "Z", []string{hash, queue, strconv.Itoa(c), strconv.Itoa(s.IntN(3)), aside}
	case 9:
		return "R", []string{seq, kept}
	case 10, 11:
		return "V", []string{seq, kept}
	case 12:
		return "V", []string{seq}
	case 13:
		return "G", []string{seq, strconv.Itoa(s.IntN(1000))}
	}
	return "F", []string{seq}
}

// TestFunctionsAgainstModel applies groups of operations to Redis and to a model of it, 100,000 operations in all: the answers and what is there afterwards are the same,
// and a group that comes twice changes nothing. At the end the queues of ended sessions are purged.
func TestFunctionsAgainstModel(t *testing.T) {
	r := newServer(t, "--appendonly", "no")
	c, err := r.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if err := c.Do(ctx, c.B().FunctionLoad().FunctionCode(library).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	call := func(name string, keys []string, args ...string) rueidis.RedisResult {
		return c.Do(ctx, c.B().Fcall().Function(name).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	}
	operations := 0
	rapid.Check(t, func(rt *rapid.T) {
		r.do("FLUSHALL")
		s := &script{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))}
		m := model{}
		meta := fixedKeys("{model}")[:1]
		if err := call("picket1_open", append(meta, "{model}n"), "test", "set", "1", "0").Error(); err != nil {
			rt.Fatal(err)
		}
		groups := rapid.IntRange(90, 110).Draw(rt, "groups")
		for g := 1; g <= groups; g++ {
			keys := s.keys()
			args := []string{"1", strconv.Itoa(g)}
			entries := 0
			for range 5 + s.IntN(12) {
				name, a := s.op()
				args = append(append(args, name, strconv.Itoa(len(a))), a...)
				entries += m.apply(keys, name, a)
				operations++
			}
			for range 1 + s.IntN(2) { // the second time it has no effect
				got, err := call("picket1_commit", keys, args...).AsIntSlice()
				if want := []int64{int64(entries), int64(len(m[keys[3]])), int64(len(m[keys[5]]))}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Fatalf("group %d: %v, %v; want %v", g, got, err, want)
				}
				entries = 0
			}
		}
		compare(rt, c, m)
		for aside := range m["{model}e"] {
			for left := int64(1); left > 0; {
				if left, err = call("picket1_purge", append(fixedKeys("{model}"), aside), "1").AsInt64(); err != nil {
					rt.Fatal(err)
				}
			}
			for _, record := range m[aside] {
				if record[1]&16 != 0 {
					h, _ := store.DecodeEntryHead([]byte(record), 0)
					m.unrefer(fixedKeys("{model}"), bodyName(h.Ref.ID))
				}
			}
			delete(m, aside)
		}
		delete(m, "{model}e")
		compare(rt, c, m)
	})
	t.Logf("%d operations", operations)
}

// compare looks whether Redis holds what the model does.
func compare(t *rapid.T, c rueidis.Client, want model) {
	ctx := context.Background()
	keys, err := c.Do(ctx, c.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	got := model{}
	for _, key := range keys {
		if key == "{model}m" {
			continue
		}
		if key == "{model}v" {
			got[key] = changesIn(ctx, t, c, key)
			continue
		}
		fields, err := c.Do(ctx, c.B().Hgetall().Key(key).Build()).AsStrMap()
		if err != nil {
			members, err := c.Do(ctx, c.B().Smembers().Key(key).Build()).AsStrSlice()
			if err != nil {
				t.Fatal(err)
			}
			fields = map[string]string{}
			for _, name := range members {
				fields[name] = ""
			}
		}
		got[key] = fields
	}
	for key := range want {
		if key == "model" {
			continue
		}
		if !maps.Equal(got[key], want[key]) {
			t.Fatalf("%s: %q, want %q", key, got[key], want[key])
		}
	}
	for key := range got {
		if want[key] == nil {
			t.Fatalf("%s: %q, want nothing", key, got[key])
		}
	}
}

// changesIn are the changes of retained messages: versions and topics.
func changesIn(ctx context.Context, t *rapid.T, c rueidis.Client, key string) map[string]string {
	entries, err := c.Do(ctx, c.B().Xrange().Key(key).Start("-").End("+").Build()).AsXRange()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		all[e.ID] = e.FieldValues["t"]
	}
	return all
}

// fencedModel says which places of a group's keys a node does not own, and answers their numbers among the sessions.
func fencedModel(m model, keys []string, me string, fences []string) (fenced map[string]bool, numbers []int64) {
	fenced = map[string]bool{}
	for i := 0; i < len(fences); i += 2 {
		place, _ := strconv.Atoi(fences[i])
		if s := m[keys[place-1]]; s["o"] != me || s["f"] != fences[i+1] {
			fenced[fences[i]], fenced[strconv.Itoa(place+1)] = true, true
			numbers = append(numbers, int64(i/2+1))
		}
	}
	return fenced, numbers
}

// applyOfNode does one operation of a node's group.
func (m model) applyOfNode(k []string, name string, a []string, fenced map[string]bool) int {
	switch name {
	case "B": // as C, whose queues are behind the body
		n := 0
		for i := 2; i < len(a); i += 2 {
			if by, _ := strconv.Atoi(a[i+1]); !fenced[a[i]] {
				n += by
			}
		}
		if n == 0 {
			return 0
		}
		return m.apply(k, "B", []string{a[0], a[1], strconv.Itoa(n)})
	case "R", "F", "V", "G":
		return m.apply(k, name, a)
	case "N", "Z":
		if fenced[a[0]] {
			return 0
		}
		place, _ := strconv.Atoi(a[0])
		s := k[place-1]
		owner := maps.Clone(m[s])
		maps.DeleteFunc(owner, func(field, _ string) bool { return field != "o" && field != "f" && field != "c" && field != "w" })
		n := m.apply(k, name, a)
		for field, value := range owner {
			m.set(s, field, value)
		}
		return n
	}
	if fenced[a[0]] {
		return 0
	}
	return m.apply(k, name, a)
}

// TestNodeFunctionsAgainstModel applies groups of two nodes between which sessions move to Redis and to a model of it: what belongs to sessions that another node has, or that
// have another fence by now, is left out and answered, and the rest is applied; a group that comes twice changes nothing but retained messages, which get further versions, and answers the same
// beside. The versions rise, also when a node has found another master.
func TestNodeFunctionsAgainstModel(t *testing.T) {
	r := newServer(t, "--appendonly", "no")
	c, err := r.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if err := c.Do(ctx, c.B().FunctionLoad().FunctionCode(library).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	operations, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r.do("FLUSHALL")
		s := &script{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)), node: true}
		m := model{}
		var groups [3]int
		for me := 1; me <= 2; me++ {
			r.do("HSET", fmt.Sprintf("{model}n:%d", me), "name", "x")
		}
		for range rapid.IntRange(60, 80).Draw(rt, "groups") {
			if s.IntN(3) == 0 { // a session moves
				key := s.keys()[7+2*s.IntN(modelClients)]
				m.set(key, "o", strconv.Itoa(1+s.IntN(2)))
				m.count(key, "f", 1)
				r.do("HSET", key, "o", m[key]["o"], "f", m[key]["f"])
			}
			if s.IntN(10) == 0 { // a node finds another master
				known := s.IntN(3)
				m.set("model", "epoch", strconv.Itoa(max(m.epoch(), known)+1))
				m.set("model", "number", "0")
				m.set("{model}v", fmt.Sprintf("%d-0", m.epoch()), "")
				if got := r.text("FCALL", "picket1_epoch", "1", "{model}v", strconv.Itoa(known)); m["{model}v"][got] != "" || got != fmt.Sprintf("%d-0", m.epoch()) {
					rt.Fatalf("epoch %s, want %d", got, m.epoch())
				}
			}
			me := 1 + s.IntN(2)
			groups[me]++
			keys := s.keys()
			keys[0] = fmt.Sprintf("{model}n:%d", me)
			args := []string{strconv.Itoa(me), strconv.Itoa(groups[me]), strconv.Itoa(modelClients)}
			for i := range modelClients {
				fence := m[keys[7+2*i]]["f"]
				if s.IntN(8) == 0 {
					fence = strconv.Itoa(s.IntN(5))
				}
				args = append(args, strconv.Itoa(8+2*i), fence)
			}
			fenced, numbers := fencedModel(m, keys, strconv.Itoa(me), args[3:])
			var changes [][]string
			entries := 0
			for range 5 + s.IntN(12) {
				name, a := s.op()
				form := name
				if name == "B" {
					form, a = "C", []string{a[0], a[1], strconv.Itoa(9 + 2*s.IntN(modelClients)), "1", strconv.Itoa(9 + 2*s.IntN(modelClients)), "2"}
				}
				args = append(append(args, form, strconv.Itoa(len(a))), a...)
				entries += m.applyOfNode(keys, name, a, fenced)
				if operations++; name == "V" {
					changes = append(changes, a)
				}
			}
			refused += len(numbers)
			for again := range 1 + s.IntN(2) {
				if again > 0 {
					for _, a := range changes {
						m.apply(keys, "V", a)
					}
				}
				version := []int64{0, 0}
				if len(changes) > 0 {
					number, _ := strconv.Atoi(m["model"]["number"])
					version = []int64{int64(m.epoch()), int64(number)}
				}
				got, err := c.Do(ctx, c.B().Fcall().Function("picket1_node_commit").Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()).AsIntSlice()
				if want := append([]int64{int64(entries), int64(len(m[keys[3]])), int64(len(m[keys[5]])), version[0], version[1]}, numbers...); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					rt.Fatalf("group %d of %d: %v, %v; want %v", groups[me], me, got, err, want)
				}
				entries = 0
			}
		}
		r.do("DEL", "{model}n:1", "{model}n:2")
		compare(rt, c, m)
	})
	t.Logf("%d operations, %d sessions refused", operations, refused)
}
