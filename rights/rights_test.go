package rights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// plainHash stands in for the real one, which is slow: what it returns begins with the password, so that a secret that gets out is recognized.
func plainHash(password string) (*Password, error) {
	p := &Password{Salt: make([]byte, SaltSize), Hash: make([]byte, HashSize), Iterations: 1}
	copy(p.Hash, password)
	copy(p.Salt, "pepper")
	return p, nil
}

// do carries out commands and returns what is answered, and the state after.
func do(t *testing.T, s *State, commands string) (*State, string) {
	t.Helper()
	o := s.Apply([]byte(`{"commands":[`+commands+`]}`), "id/admin", plainHash)
	return o.State, string(o.Answer(""))
}

// must is do for commands that all have to be carried out.
func must(t *testing.T, s *State, commands string) *State {
	t.Helper()
	s, answer := do(t, s, commands)
	if strings.Contains(answer, `"error"`) {
		t.Fatalf("answer %s", answer)
	}
	return s
}

// said is all that a state says: the file, and the users with their groups.
func said(t *testing.T, s *State) string {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, users := do(t, s, `{"command":"listClients","verbose":true}`)
	return string(data) + users
}

// house is users in groups with roles.
func house(t *testing.T) *State {
	return must(t, New(), `
		{"command":"createRole","rolename":"reader","acls":[
			{"acltype":"publishClientReceive","topic":"home/#","allow":true},
			{"acltype":"subscribePattern","topic":"home/#","allow":true},
			{"acltype":"subscribePattern","topic":"home/safe/#","priority":5,"allow":false}]},
		{"command":"createRole","rolename":"own","acls":[{"acltype":"publishClientSend","topic":"of/%u/%c/#","allow":true}, {"acltype":"subscribePattern","topic":"of/%u/#","allow":true}]},
		{"command":"createRole","rolename":"writer","acls":[{"acltype":"publishClientSend","topic":"home/#","allow":true}]},
		{"command":"createRole","rolename":"nothing","acls":[{"acltype":"publishClientSend","topic":"#","allow":false}]},
		{"command":"createGroup","groupname":"family","roles":[{"rolename":"writer"}]},
		{"command":"createGroup","groupname":"guests","roles":[{"rolename":"reader"}]},
		{"command":"createClient","username":"ann","password":"secret1","roles":[{"rolename":"reader"},{"rolename":"own","priority":3}],"groups":[{"groupname":"family","priority":2}],"textname":"Ann"},
		{"command":"createClient","username":"bob","password":"secret2","clientid":"phone"},
		{"command":"createClient","username":"+","password":"secret3","roles":[{"rolename":"own"}]},
		{"command":"setAnonymousGroup","groupname":"guests"}`)
}

func TestMay(t *testing.T) {
	s := house(t)
	muted := must(t, s, `{"command":"addClientRole","username":"ann","rolename":"nothing","priority":9}`)
	shared := must(t, s, `{"command":"addRoleACL","rolename":"reader","acltype":"subscribePattern","topic":"$share/+/home/#","allow":true}`)
	all := must(t, s, `{"command":"addRoleACL","rolename":"reader","acltype":"subscribePattern","topic":"#","allow":true}`)
	anyone := must(t, s, `{"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientSend","allow":true},{"acltype":"subscribe","allow":true}]}`)
	for _, c := range []struct {
		name     string
		s        *State
		user, id string // user "": anonymous
		a        Action
		topic    string
		want     string // yes, no, open (nothing decides), unknown
	}{
		{"by an own role", s, "ann", "x", Receive, "home/lamp", "yes"},
		{"by a group's role", s, "ann", "x", Send, "home/lamp", "yes"},
		{"own roles before those of groups", muted, "ann", "x", Send, "home/lamp", "no"},
		{"nothing matches", s, "ann", "x", Send, "shed/lamp", "open"},
		{"without roles", s, "bob", "phone", Send, "home/lamp", "open"},
		{"what holds without a rule", s, "bob", "phone", Receive, "shed/lamp", "yes"},
		{"a default that allows", anyone, "bob", "phone", Send, "shed/lamp", "yes"},
		{"$CONTROL needs a rule", anyone, "bob", "phone", Send, "$CONTROL/dynamic-security/v1", "open"},
		{"$CONTROL needs a rule to be read", anyone, "bob", "phone", Receive, "$CONTROL/dynamic-security/v1/response", "open"},
		{"nobody knows the name", anyone, "eve", "x", Send, "home/lamp", "unknown"},
		{"the group of the anonymous", s, "", "x", Subscribe, "home/lamp", "yes"},
		{"the group of the anonymous has its limits", s, "", "x", Send, "home/lamp", "open"},
		{"a wider filter than the rule's", s, "ann", "x", Subscribe, "#", "open"},
		{"a filter with + in the rule's", s, "ann", "x", Subscribe, "home/+/state", "yes"},
		{"the higher priority", s, "ann", "x", Subscribe, "home/safe/door", "no"},
		{"the rule's own parent", s, "ann", "x", Subscribe, "home", "yes"},
		{"names in place of %u and %c", s, "ann", "x", Send, "of/ann/x/y", "yes"},
		{"other names", s, "ann", "x", Send, "of/bob/x/y", "open"},
		{"another client", s, "ann", "x", Send, "of/ann/z/y", "open"},
		{"a name that is a wildcard", s, "+", "x", Subscribe, "of/+/y", "open"},
		{"a name that is a wildcard, to publish", s, "+", "x", Send, "of/bob/x/y", "open"},
		{"sharing needs a rule of its own", s, "ann", "x", Subscribe, "$share/g/home/lamp", "open"},
		{"a rule for sharing", shared, "ann", "x", Subscribe, "$share/g/home/lamp", "yes"},
		{"sharing is no way round a denial", shared, "ann", "x", Subscribe, "$share/g/home/safe/door", "no"},
		{"# allows what is shared, too", all, "ann", "x", Subscribe, "$share/g/shed", "yes"},
		{"# is no way round a denial", all, "ann", "x", Subscribe, "$share/g/home/safe/door", "no"},
	} {
		v := c.s.May(c.user, c.id, c.user == "", c.a, c.topic)
		got := "no"
		switch {
		case !v.Known:
			got = "unknown"
		case !v.Decided:
			got = "open"
		case v.Allow:
			got = "yes"
		}
		if got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, got, v.By, c.want)
		}
	}
	if v := s.May("ann", "x", false, Send, "home/lamp"); v.By.String() != "rule publishClientSend home/# (priority 0) of role writer in group family" {
		t.Errorf("decided by %s", v.By)
	}
}

// What is written is read as the same, members included that nobody knows, and mosquitto's own spelling.
func TestFile(t *testing.T) {
	s := house(t)
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, warnings, err := Load(data)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if said(t, s) != said(t, again) {
		t.Errorf("read as another state:\n%s", data)
	}
	s, warnings, err = Load([]byte(`{"later":1,"Clients":[{"username":"a","textName":"A","picket":{"expires":[1,2]}, "encoded_password":"x"}],"roles":[{"rolename":"r","acls":[],"note":true}],
		"groups":[{"groupname":"g","clients":[{"username":"a"},{"username":"gone"}],"roles":[{"rolename":"r","priority":7},{"rolename":"none"}]}],"anonymousGroup":"nowhere"}`))
	if err != nil || len(warnings) != 3 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if data, err = s.Encode(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"later": 1`, `"expires"`, `"encoded_password": "x"`, `"note": true`, `"textname": "A"`, `"priority": 7`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s is missing in\n%s", want, data)
		}
	}
}

// What could give more than was meant is refused, with its place; what only takes away is told of.
func TestBrokenFiles(t *testing.T) {
	for data, want := range map[string]string{
		`{"clients":`:      "unexpected EOF",
		`[]`:               "a JSON object is expected",
		`{"clients":{}}`:   "clients is not a list",
		`{} {}`:            "more than one JSON value",
		"{\"a\":\"\xff\"}": "not valid UTF-8",
		`{"roles":[{"rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a/#/b","allow":false}]}]}`: `roles[0]: role "r": acls[0]: Invalid ACL topic`,
		`{"roles":[{"rolename":"r","acls":[{"acltype":"publish","topic":"a","allow":false}]}]}`:               `roles[0]: role "r": acls[0]: Unknown acltype`,
		`{"clients":[{"username":"u","disabled":"yes"}]}`:                                                     `clients[0]: user "u": disabled is neither`,
		`{"clients":[{"username":"u","clientid":7}]}`:                                                         `clients[0]: user "u": clientid is no`,
	} {
		if _, _, err := Load([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
	for data, want := range map[string]string{
		`{"clients":[{"username":"u","password":"x"}]}`: "cannot be used",
		`{"clients":[7]}`: "clients[0] is not an object",
		`{"clients":[{"username":"u"},{"username":"u"}]}`:           `clients[1]: there is a username "u" before it`,
		`{"groups":[{"groupname":""}]}`:                             "groups[0] has no groupname",
		`{"clients":[{"username":"u","roles":[{"rolename":"r"}]}]}`: `which there is not`,
	} {
		if _, warnings, err := Load([]byte(data)); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%s: %v, %q, want %s", data, err, warnings, want)
		}
	}
}

// A command that is refused has changed nothing, whatever it asks for beside.
func TestRefusedCommandsChangeNothing(t *testing.T) {
	s := house(t)
	before, _ := s.Encode()
	for _, c := range []struct{ command, want string }{
		{`{"command":"createClient","username":"ann"}`, "Client already exists"},
		{`{"command":"createClient","username":""}`, "Invalid/missing username"},
		{`{"command":"createClient","username":"new","groups":[{"groupname":"family"},{"groupname":"x"}]}`, "Group not found"},
		{`{"command":"createClient","username":"new","roles":[{"rolename":"x"}]}`, "Role not found"},
		{`{"command":"createClient","username":"new","roles":7}`, "'roles' not an array or missing/invalid rolename"},
		{`{"command":"modifyClient","username":"ann","clientid":"z","roles":[{"rolename":"x"}]}`, "Role not found"},
		{`{"command":"modifyClient","username":"ann","roles":[],"groups":[{"groupname":"x"}]}`, "'groups' contains an object with a 'groupname' that does not exist"},
		{`{"command":"modifyGroup","groupname":"family","roles":[],"clients":[{"username":"x"}]}`, "'clients' contains an object with a 'username' that does not exist"},
		{`{"command":"addGroupClient","groupname":"family","username":"ann"}`, "Client is already in this group"},
		{`{"command":"addClientRole","username":"ann","rolename":"own"}`, "Client already has this role"},
		{`{"command":"deleteGroup","groupname":"guests"}`, "Deleting the anonymous group is forbidden"},
		{`{"command":"createRole","rolename":"new","acls":[{"acltype":"publishClientSend","topic":"a/#/b"}]}`, "Invalid ACL topic"},
		{`{"command":"modifyRole","rolename":"own","acls":[{"acltype":"other","topic":"a"}]}`, "Unknown acltype"},
		{`{"command":"addRoleACL","rolename":"writer","acltype":"publishClientSend","topic":"home/#"}`, "ACL with this topic already exists"},
		{`{"command":"setClientPassword","username":"ann","password":""}`, "Empty password is not allowed"},
		{`{"command":"setClientPassword","username":"ann","password":"` + strings.Repeat("x", 65536) + `"}`, "Invalid/missing password"},
		{`{"command":"setDefaultACLAccess"}`, "Missing/invalid actions array"},
		{`{"command":"getClient","username":"ann","correlationData":7}`, "Invalid correlationData data type."},
		{`{"command":"nonsense"}`, "Unknown command"},
		{`"nonsense"`, "Command not an object"},
		{`{}`, "Missing command"},
	} {
		after, answer := do(t, s, c.command)
		if !strings.Contains(answer, `"error":`+quoted(c.want)) {
			t.Errorf("%s: %s, want %s", c.command, answer, c.want)
		}
		if after != s {
			t.Errorf("%s: the state has changed", c.command)
		}
	}
	if now, _ := s.Encode(); !bytes.Equal(now, before) {
		t.Error("a state was changed that somebody has")
	}
}

func quoted(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

// A change makes a new state; the one before goes on to answer as it did. Whoever it is about has to log in again.
func TestChanges(t *testing.T) {
	s := house(t)
	before, _ := s.Encode()
	for _, c := range []struct{ command, ends string }{
		{`{"command":"createClient","username":"new"}`, ""},
		{`{"command":"deleteClient","username":"ann"}`, "ann"},
		{`{"command":"modifyClient","username":"ann","textname":"A","groups":[]}`, "ann"},
		{`{"command":"setClientPassword","username":"ann","password":"x"}`, "ann"},
		{`{"command":"setClientId","username":"bob"}`, "bob"},
		{`{"command":"disableClient","username":"bob"}`, "bob"},
		{`{"command":"enableClient","username":"bob"}`, ""},
		{`{"command":"addClientRole","username":"bob","rolename":"own"}`, "bob"},
		{`{"command":"removeClientRole","username":"ann","rolename":"own"}`, "ann"},
		{`{"command":"addGroupClient","groupname":"family","username":"bob","priority":4}`, "bob"},
		{`{"command":"removeGroupClient","groupname":"family","username":"ann"}`, "ann"},
		{`{"command":"addGroupRole","groupname":"family","rolename":"own"}`, "ann"},
		{`{"command":"removeGroupRole","groupname":"family","rolename":"writer"}`, "ann"},
		{`{"command":"modifyGroup","groupname":"family","clients":[{"username":"bob"}]}`, "ann bob"},
		{`{"command":"deleteGroup","groupname":"family"}`, "ann"},
		{`{"command":"createGroup","groupname":"new"}`, ""},
		{`{"command":"setAnonymousGroup","groupname":"family"}`, "anonymous"},
		{`{"command":"addRoleACL","rolename":"reader","acltype":"publishClientReceive","topic":"x"}`, "anonymous ann"},
		{`{"command":"removeRoleACL","rolename":"writer","acltype":"publishClientSend","topic":"home/#"}`, "ann"},
		{`{"command":"modifyRole","rolename":"writer","acls":[]}`, "ann"},
		{`{"command":"modifyRole","rolename":"writer","textname":"w"}`, ""},
		{`{"command":"deleteRole","rolename":"own"}`, "+ ann"},
		{`{"command":"setDefaultACLAccess","acls":[{"acltype":"subscribe","allow":true}]}`, ""},
	} {
		o := s.Apply([]byte(`{"commands":[`+c.command+`]}`), "", plainHash)
		if answer := string(o.Answer("")); strings.Contains(answer, "error") || o.State == s {
			t.Errorf("%s: %s", c.command, answer)
		}
		if answer := string(o.Answer("disk full")); !strings.Contains(answer, `"error":"disk full"`) {
			t.Errorf("%s: %s though it is not in force", c.command, answer)
		}
		var ends []string
		if o.Ends.Include("", true) {
			ends = append(ends, "anonymous")
		}
		for _, name := range []string{"+", "ann", "bob", "new"} {
			if o.Ends.Include(name, false) {
				ends = append(ends, name)
			}
		}
		if got := strings.Join(ends, " "); got != c.ends {
			t.Errorf("%s ends the connections of %q, want %q", c.command, got, c.ends)
		}
		data, err := o.State.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, warnings, err := Load(data); err != nil || len(warnings) > 0 || said(t, again) != said(t, o.State) {
			t.Errorf("%s: read as another state, %v %q", c.command, err, warnings)
		}
	}
	if now, _ := s.Encode(); !bytes.Equal(now, before) {
		t.Error("a state was changed that somebody has")
	}
}

// No answer and no line of the log has a password or its hash, whatever is asked.
func TestSecretsStayInside(t *testing.T) {
	s := house(t)
	for name, c := range commands {
		ask := fmt.Sprintf(`{"commands":[{"command":%q,"username":"ann","groupname":"family","rolename":"own","password":"secret9","verbose":true,"acltype":"publishClientSend","topic":"x","acls":[]}]}`, name)
		o := s.Apply([]byte(ask), "id/admin", plainHash)
		said := string(o.Answer("")) + strings.Join(o.Log, "\n")
		hash, _ := json.Marshal(must(t, s, `{"command":"setClientPassword","username":"ann","password":"secret1"}`).clients["ann"].password.Hash)
		for _, secret := range []string{"secret", string(hash)[1:9], `"salt"`, `"iterations"`, `"password":`} {
			if strings.Contains(said, secret) {
				t.Errorf("%s says %q: %s", c.name, secret, said)
			}
		}
	}
}

// An answer has a limit, and so has what is asked.
func TestBounds(t *testing.T) {
	s := New()
	for n := range 2 {
		var all []string
		for i := range 10000 {
			all = append(all, fmt.Sprintf(`{"command":"createClient","username":"user%05d"}`, n*10000+i))
		}
		s = must(t, s, strings.Join(all, ","))
	}
	list := `{"command":"listClients","verbose":true}`
	_, answer := do(t, s, strings.TrimSuffix(strings.Repeat(list+",", 20), ","))
	if !strings.Contains(answer, errTooLarge.Error()) || len(answer) > MaxAnswer+100_000 {
		t.Errorf("an answer of %d bytes", len(answer))
	}
	if _, answer = do(t, s, `{"command":"listClients","count":2,"offset":19998}`); answer != `{"responses":[{"command":"listClients","data":{"totalCount":20000,"clients":["user19998","user19999"]}}]}` {
		t.Error(answer)
	}
	if o := s.Apply(bytes.Repeat([]byte(" "), MaxCommands+1), "", plainHash); !strings.Contains(string(o.Answer("")), "fewer commands") {
		t.Errorf("%s", o.Answer(""))
	}
}

func FuzzApply(f *testing.F) {
	for name := range commands {
		f.Add(fmt.Appendf(nil, `{"commands":[{"command":%q,"username":"ann","groupname":"family","rolename":"own","password":"p","clientid":"c","acltype":"subscribePattern","topic":"a/#","priority":1,"allow":true,"roles":[{"rolename":"own"}],"groups":[{"groupname":"family"}],"clients":[{"username":"bob"}],"acls":[{"acltype":"publishClientSend","topic":"x"}],"correlationData":"c"}]}`, name))
	}
	f.Add([]byte(`{"commands":[{"COMMAND":"createclient","UserName":"\ud800","priority":1e999}]}`))
	var s *State
	f.Fuzz(func(t *testing.T, payload []byte) {
		if s == nil {
			s = house(t)
		}
		o := s.Apply(payload, "x/y", plainHash)
		if !json.Valid(o.Answer("")) {
			t.Fatalf("answer %s", o.Answer(""))
		}
		data, err := o.State.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, warnings, err := Load(data); err != nil || len(warnings) > 0 || said(t, again) != said(t, o.State) {
			t.Fatalf("read as another state: %v %q\n%s", err, warnings, data)
		}
		for _, line := range o.Log {
			if strings.ContainsAny(line, "\n\r\x1b") {
				t.Fatalf("line %q", line)
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"clients":[{"username":"a","roles":[{"rolename":"r"}],"password":"x"}],"roles":[{"rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a","allow":true}]}],"groups":[{"groupname":"g","clients":[{"username":"a"}]}],"anonymousGroup":"g","defaultACLAccess":{"subscribe":true}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := Load(data)
		if err != nil {
			return
		}
		written, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, warnings, err := Load(written)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v %q\n%s", err, warnings, written)
		}
		if twice, _ := again.Encode(); !bytes.Equal(twice, written) {
			t.Fatalf("written as another file:\n%s\n%s", written, twice)
		}
		for _, a := range []Action{Send, Receive, Subscribe, Unsubscribe} {
			for _, name := range append(s.Names(), "") {
				if s.May(name, "id", name == "", a, "a/b") != again.May(name, "id", name == "", a, "a/b") {
					t.Fatalf("%q is judged in another way", name)
				}
			}
		}
	})
}
