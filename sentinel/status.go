package sentinel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"picket/cause"
	"picket/resp"
	"picket/sentinel/machine"
)

// MasterStatus is what a running sentinel says about one of its masters.
type MasterStatus struct {
	Name, Addr, Flags           string
	Replicas, Sentinels, Quorum string         // Sentinels: the others
	Answer                      string         // of SENTINEL CKQUORUM, without the causes
	Causes                      []machine.Gate // what holds a failover back; a sentinel of Redis tells none
}

// Login is how to enter a sentinel that has a password.
type Login struct{ User, Password string }

// Ask asks a running sentinel, ours or one of Redis, for all its masters.
func Ask(ctx context.Context, addr string, l Login) ([]MasterStatus, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("no sentinel can be reached at %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	r := resp.NewReader(conn)
	do := func(args ...string) (resp.Value, error) {
		if _, err := conn.Write(resp.AppendCommand(nil, args...)); err != nil {
			return resp.Value{}, err
		}
		return r.Value()
	}
	if l.Password != "" {
		args := []string{"AUTH", l.Password}
		if l.User != "" {
			args = []string{"AUTH", l.User, l.Password}
		}
		if v, err := do(args...); err != nil || v.Kind == resp.Error {
			return nil, errors.Join(err, refusal(v))
		}
	}
	v, err := do("SENTINEL", "MASTERS")
	if err != nil || v.Kind == resp.Error {
		return nil, errors.Join(err, refusal(v))
	}
	var all []MasterStatus
	for _, e := range v.Elems {
		f := map[string]string{}
		for i := 0; i+1 < len(e.Elems); i += 2 {
			f[e.Elems[i].Str] = e.Elems[i+1].Str
		}
		m := MasterStatus{
			Name: f["name"], Addr: net.JoinHostPort(f["ip"], f["port"]), Flags: f["flags"],
			Replicas: f["num-slaves"], Sentinels: f["num-other-sentinels"], Quorum: f["quorum"],
		}
		ck, err := do("SENTINEL", "CKQUORUM", m.Name)
		if err != nil {
			return nil, err
		}
		m.Answer, m.Causes = splitCauses(ck.Str)
		all = append(all, m)
	}
	return all, nil
}

func refusal(v resp.Value) error {
	if v.Kind == resp.Error {
		return errors.New(v.Str)
	}
	return nil
}

// splitCauses takes the answer of CKQUORUM apart: a remark, then the causes as "[id] text." each.
func splitCauses(s string) (answer string, causes []machine.Gate) {
	parts := strings.Split(s, " [")
	for _, p := range parts[1:] {
		id, text, ok := strings.Cut(p, "] ")
		if !ok {
			continue
		}
		causes = append(causes, machine.Gate{ID: cause.ID(id), Text: strings.TrimSuffix(text, ".")})
	}
	return parts[0], causes
}
