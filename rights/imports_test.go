package rights

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// loaded reads a file.
func loaded(t *testing.T, text string) *State {
	t.Helper()
	s, warnings, err := Load([]byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %q", err, warnings)
	}
	return s
}

// What is there stays as it is, with all that it may do, unless it is to be replaced; what is new comes whole. Neither of the two states changes.
func TestImport(t *testing.T) {
	there := loaded(t, `{"defaultACLAccess": {"publishClientSend": true},
		"clients": [{"username": "ann", "roles": [{"rolename": "r"}]}, {"username": "ben", "disabled": true}],
		"groups": [{"groupname": "g", "clients": [{"username": "ben"}], "roles": [{"rolename": "r"}]}],
		"roles": [{"rolename": "r", "acls": [{"acltype": "subscribePattern", "topic": "old/#", "allow": true}]}]}`)
	from := loaded(t, `{"clients": [{"username": "ben", "roles": [{"rolename": "admin"}]}, {"username": "eve"}],
		"groups": [{"groupname": "g", "clients": [{"username": "eve"}]}, {"groupname": "h", "clients": [{"username": "ben"}, {"username": "eve"}], "roles": [{"rolename": "admin"}]}],
		"roles": [{"rolename": "admin", "acls": [{"acltype": "subscribePattern", "topic": "#", "allow": true}]}, {"rolename": "r", "acls": [{"acltype": "subscribePattern", "topic": "new/#", "allow": true}]}]}`)
	wasThere, wasFrom := there.Revision(), from.Revision()
	may := func(s *State, user, filter string) bool { return s.May(user, "c", false, Subscribe, filter).Allow }
	for _, c := range []struct {
		replace                  bool
		kept, ends               []string
		annOld, benOld, benAll   bool
		eveOld, eveAll, disabled bool
	}{
		{false, []string{"role r", "user ben", "group g"}, nil, true, true, false, true, true, true},
		{true, []string{}, []string{"ann", "ben"}, false, false, true, true, true, false},
	} {
		o := there.Import(from, c.replace, "test")
		said := o.responses[0].Data.(Imported)
		var ends []string
		for name := range o.Ends.Users {
			ends = append(ends, name)
		}
		slices.Sort(ends)
		login, _ := o.State.Login("ben")
		got := []bool{may(o.State, "ann", "old/x"), may(o.State, "ben", "old/x") && !may(o.State, "ben", "x"), may(o.State, "ben", "x"), may(o.State, "eve", "old/x"), may(o.State, "eve", "x"), login.Disabled}
		want := []bool{c.annOld, c.benOld, c.benAll, c.eveOld, c.eveAll, c.disabled}
		if !slices.Equal(said.Kept, c.kept) || !slices.Equal(ends, c.ends) || !slices.Equal(got, want) || !o.State.defaults[Send] {
			t.Errorf("replace %t: %+v, ends %v, %v; want %v", c.replace, said, ends, got, want)
		}
		data, err := o.State.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again := loaded(t, string(data)); again.Revision() != o.State.Revision() {
			t.Errorf("replace %t: what is written is read as something else", c.replace)
		}
		if twice := o.State.Import(from, true, "test"); c.replace && twice.State.Revision() != o.State.Revision() {
			t.Error("a second time it is something else")
		}
	}
	if there.Revision() != wasThere || from.Revision() != wasFrom || loaded(t, encoded(t, there)).Revision() != wasThere {
		t.Error("a state that was given to somebody has changed")
	}
}

func encoded(t *testing.T, s *State) string {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Users of a password file come with their hashes; what cannot be a name, and what is no hash, is left out.
func TestAddHashed(t *testing.T) {
	s := New()
	good := &Password{Salt: make([]byte, SaltSize), Hash: make([]byte, HashSize), Iterations: 101}
	left := s.AddHashed(map[string]*Password{"ann": good, "a\x00b": good, "": good, "ben": {Salt: []byte("x"), Hash: good.Hash, Iterations: 1}}, "", 0)
	if l, ok := s.Login("ann"); !ok || !l.Password.Equal(good) || fmt.Sprintf("%q", left) != `["" "a\x00b" "ben"]` || s.Users() != 1 {
		t.Errorf("%v %v %q", l, ok, left)
	}
	if !strings.Contains(encoded(t, s), `"iterations": 101`) {
		t.Error(encoded(t, s))
	}
}
