package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"picket/access"
	"picket/mosqconf"
)

// What the file says is what the broker did without it: two ways to one and the same configuration.
func TestInitLosesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		serve serveCommand
		init  []string
	}{
		"plain":           {serve: serveCommand{}},
		"ports and names": {serve: serveCommand{Port: []int{1885, 1886}, Name: []string{"203.0.113.7", "mqtt.example.com"}}, init: []string{"-p", "1885", "-p", "1886"}},
		"store in Redis":  {serve: serveCommand{Cluster: "redis://192.0.2.1,192.0.2.2/master"}, init: []string{"--store", "redis://192.0.2.1,192.0.2.2/master"}},
		"in Chinese":      {serve: serveCommand{}, init: []string{"--lang", "zh"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PICKET_RUNTIME_DIR", t.TempDir()) // no other broker is found
			dir := filepath.Join(t.TempDir(), "data")
			c.serve.Data = dir
			want, own, lines := c.serve.configuration(context.Background())
			if want == nil {
				t.Fatal(lines)
			}
			file := filepath.Join(t.TempDir(), "picket.conf")
			var out strings.Builder
			if status := Run(context.Background(), append([]string{"picket", "init", "--config", file, "--data", dir}, c.init...), strings.NewReader(""), &out, &out); status != 0 {
				t.Fatal(status, out.String())
			}
			s := serveCommand{ConfigFile: file}
			got, again, lines := s.configuration(context.Background())
			if got == nil {
				t.Fatal(lines)
			}
			for _, l := range lines {
				t.Errorf("the file is not taken as it is: %s", l.Text)
			}
			if !reflect.DeepEqual(own.Names, again.Names) || own.Dir != again.Dir || again.Made || again.Issued != "" {
				t.Errorf("the data directory: %+v, want %+v", again, own)
			}
			for _, config := range []*mosqconf.Config{want, got} {
				withoutPlaces(config)
			}
			if !reflect.DeepEqual(got, want) {
				text, _ := os.ReadFile(file)
				t.Errorf("got  %+v\nwant %+v\nfile:\n%s", *got, *want, text)
			}
		})
	}
}

// withoutPlaces takes out of a configuration what a file and the command line have to say differently, and which is held to account elsewhere.
func withoutPlaces(c *mosqconf.Config) {
	c.HTTP, c.User, c.DataDir, c.Names, c.Files = nil, "", "", nil, nil
	c.Security = append([]access.Config{}, c.Security...)
	for i := range c.Security {
		c.Security[i].Source = ""
	}
	for _, l := range c.Listeners {
		l.Source = ""
	}
	for i := range c.API {
		c.API[i].Source = ""
	}
}

func TestInitRefuses(t *testing.T) {
	t.Setenv("PICKET_RUNTIME_DIR", t.TempDir())
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveCommand{Data: filepath.Join(t.TempDir(), "data")}
	if config, _, lines := s.configuration(context.Background()); config == nil {
		t.Fatal(lines)
	}
	for want, args := range map[string][]string{
		"is there already":               {"--config", there, "--data", s.Data},
		"no data directory of a broker":  {"--config", there + "2", "--data", t.TempDir()},
		"is no port":                     {"--config", there + "2", "--data", s.Data, "-p", "0"},
		"a password in the command line": {"--config", there + "2", "--data", s.Data, "--store", "redis://:secret@192.0.2.1"},
		"several servers are sentinels":  {"--config", there + "2", "--data", s.Data, "--store", "redis://a,b"},
		"missing flags: --config=FILE":   {"--data", s.Data},
		"no running broker was found":    {"--config", there + "2", "--socket", there},
	} {
		var out strings.Builder
		if status := Run(context.Background(), append([]string{"picket", "init"}, args...), strings.NewReader(""), io.Discard, &out); status == 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%v: status %d, %q, want %q", args, status, out.String(), want)
		}
	}
	if _, err := os.Stat(there + "2"); err == nil {
		t.Error("a file was written by a call that failed")
	}
}
