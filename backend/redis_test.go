package backend

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
)

// redisServer is a redis-server of the test's own.
type redisServer struct {
	port int
	t    *testing.T
	cmd  *exec.Cmd
}

// run starts it and waits until it answers.
func (s *redisServer) run() {
	s.t.Helper()
	s.cmd = exec.Command(testbed.Program(s.t, "redis-server", "redis-server"), "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--dir", s.t.TempDir(), "--requirepass", "sesame")
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.end)
	testbed.Eventually(s.t, func() error {
		if out, _ := s.command("PING"); !strings.Contains(out, "PONG") {
			return errors.New(out)
		}
		return nil
	})
}

func (s *redisServer) end() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *redisServer) command(args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(s.port), "-a", "sesame", "--no-auth-warning", "-n", "2"}, args...)...).CombinedOutput()
	return string(out), err
}

func (s *redisServer) do(commands ...string) {
	s.t.Helper()
	for _, c := range commands {
		if out, err := s.command(strings.Fields(c)...); err != nil || strings.Contains(out, "ERR") {
			s.t.Fatalf("%s: %s, %v", c, out, err)
		}
	}
}

// go-auth's own layout in a real server: users, superusers, rules; the server goes away and comes back.
func TestRedis(t *testing.T) {
	server := &redisServer{port: testbed.Port(t), t: t}
	server.run()
	_, hash, _ := strings.Cut(strings.Split(test1, "\n")[1], ":")
	fill := func() {
		server.do("SET test1 "+hash, "SET root "+hash, "SET root:su true", "SET broken x", "SADD test1:racls home/#", "SADD test1:sacls home/#", "SADD test1:wacls w/+", "SADD test1:rwacls rw", "SADD common:wacls own/%u/%c")
	}
	fill()
	conf := Config{Sources: []Source{{Name: "redis", Users: true, Superuser: true, Rules: true, Redis: &Redis{Host: "127.0.0.1", Port: server.port, DB: 2, Password: "sesame"}}}}
	_, p := open(t, conf)
	l := loginOf("test1", "test1")
	d, fetched, computed := resolve(p.Connect(l))
	if !d.Allow || !fetched || !computed {
		t.Fatalf("%+v, %v, %v", d, fetched, computed)
	}
	for user, password := range map[string]string{"test1": "x", "nobody": "test1", "broken": "x", "root:su": "true", "test1:racls": "test1"} {
		if d, _, computed := resolve(p.Connect(loginOf(user, password))); d.Allow || d.Cause != cause.BadCredentials || !computed {
			t.Errorf("%s: %+v, computed %v", user, d, computed)
		}
	}
	c := p.Client(l, d)
	for question, want := range map[string]bool{"w w/a": true, "w home/a": false, "w rw": true, "w own/test1/id": true, "w own/root/id": false, "s home/+": true, "s rw": false, "s #": false} {
		do, name, _ := strings.Cut(question, " ")
		ask := map[string]func(string) access.Decision{"w": c.Publish, "s": c.Subscribe}[do]
		if d, _, _ := resolve(ask(name)); d.Allow != want {
			t.Errorf("%s: %+v", question, d)
		}
	}
	testbed.Eventually(t, func() error {
		if !c.Deliver("home/a") || c.Deliver("w/a") {
			return errors.New("what may be read")
		}
		return nil
	})
	rl := loginOf("root", "test1")
	d, _, _ = resolve(p.Connect(rl))
	if d, _, _ := resolve(p.Client(rl, d).Publish("anything")); !d.Allow {
		t.Errorf("a superuser: %+v", d)
	}
	server.end()
	if d, _, _ := resolve(p.Connect(l)); d.Allow || d.Cause != cause.AuthBackendDown {
		t.Errorf("without a server: %+v", d)
	}
	server.run()
	fill()
	testbed.Eventually(t, func() error {
		if d, _, _ := resolve(p.Connect(l)); !d.Allow {
			return fmt.Errorf("after it came back: %+v", d)
		}
		return nil
	})
}

// A server that is not there when the broker starts is asked once it is.
func TestRedisLater(t *testing.T) {
	server := &redisServer{port: testbed.Port(t), t: t}
	_, p := open(t, Config{Sources: []Source{{Name: "redis", Users: true, Redis: &Redis{Host: "127.0.0.1", Port: server.port, DB: 2, Password: "sesame"}}}})
	l := loginOf("test1", "test1")
	if d, _, _ := resolve(p.Connect(l)); d.Allow || d.Cause != cause.AuthBackendDown {
		t.Errorf("%+v", d)
	}
	server.run()
	_, hash, _ := strings.Cut(strings.Split(test1, "\n")[1], ":")
	server.do("SET test1 " + hash)
	testbed.Eventually(t, func() error {
		if d, _, _ := resolve(p.Connect(l)); !d.Allow {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}
