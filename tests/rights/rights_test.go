//go:build unix

package rights

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"picket/internal/testbed"
	"picket/packet"
)

const transports = open + "listener ${PORT_TLS} 127.0.0.1\ncertfile ${CERT}\nkeyfile ${KEY}\nlistener ${PORT_WS} 127.0.0.1\nprotocol websockets\n"

// mosquitto's own program manages users, groups and roles, and what it has done holds at once.
func TestMosquittoCtrl(t *testing.T) {
	t.Parallel()
	b := start(t, transports)
	overTLS := []string{"-p", fmt.Sprint(b.Port(t, "PORT_TLS")), "--cafile", b.Certificate(t).CA.File, "-h", "localhost"}
	for i, words := range []string{
		"createRole lamps", "addRoleACL lamps publishClientSend home/lamp/# allow 3", "addRoleACL lamps subscribePattern home/# allow",
		"addRoleACL lamps subscribeLiteral home/safe deny 9", "createGroup family", "addGroupRole family lamps",
		"createClient ann -p pine", "addGroupClient family ann 5", "createClient bob -p oak -c phone", "addClientRole bob lamps",
		"setDefaultACLAccess publishClientReceive allow", "setAnonymousGroup family",
	} {
		args := append([]string{"dynsec"}, strings.Fields(words)...)
		switch i % 3 {
		case 1:
			args = append([]string{"-V", "mqttv311"}, args...)
		case 2:
			args = append(append([]string(nil), overTLS...), args...)
		}
		if out, err := ctrl(t, b, args...); err != nil || strings.Contains(out, "Error") {
			t.Fatalf("mosquitto_ctrl %s: %v %s", words, err, out)
		}
	}
	ann := login(t, dial(t, b, packet.V5), user{"ann", "pine", "a"})
	if code := publish(t, ann, "home/lamp/1"); code != packet.NoMatchingSubscribers {
		t.Errorf("PUBACK %v", code)
	}
	for _, c := range []struct{ words, want string }{
		{"listClients", "admin\nann\nbob\n"},
		{"listGroups", "family\n"},
		{"listRoles", "admin\nlamps\n"},
		{"getClient bob", "Username: bob\nClientid: phone\nRoles:    lamps (priority: -1)\n"},
		{"getGroup family", "Groupname: family\n"},
		{"getRole lamps", "Rolename: lamps\nACLs:     publishClientSend    : allow : home/lamp/# (priority: 3)\n"},
		{"getDefaultACLAccess", "publishClientReceive : allow"},
		{"getAnonymousGroup", "family\n"},
		{"removeRoleACL lamps subscribeLiteral home/safe", ""},
		{"disableClient bob", ""},
		{"setClientPassword ann spruce", ""},
	} {
		out, err := ctrl(t, b, append([]string{"dynsec"}, strings.Fields(c.words)...)...)
		if err != nil {
			t.Errorf("%s: %v %s", c.words, err, out)
		}
		says(t, out, c.want)
	}
	for words, want := range map[string]string{"getClient eve": "Client not found", "createClient ann -p x": "Client already exists", "addGroupClient nobody ann": "Group not found"} {
		if out, _ := ctrl(t, b, append([]string{"dynsec"}, strings.Fields(words)...)...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", words, out)
		}
	}
	refused(t, dial(t, b, packet.V311), user{"bob", "oak", "phone"})
	refused(t, dial(t, b, packet.V5), user{"ann", "pine", "a"})
	login(t, dial(t, b, packet.V5), user{"ann", "spruce", "a"})
	if said := b.Said(); strings.Contains(said, "spruce") || strings.Contains(said, "pine") {
		t.Error("a password is in the log")
	}
}

// Rights hold, and change, in every version and over every transport alike.
func TestRightsHold(t *testing.T) {
	t.Parallel()
	b := start(t, transports)
	c := newConsole(t, dial(t, b, packet.V5))
	c.do(`{"command":"createRole","rolename":"r","acls":[{"acltype":"publishClientSend","topic":"may/#","allow":true},{"acltype":"subscribePattern","topic":"may/#","allow":true},
		{"acltype":"publishClientReceive","topic":"may/not/#","allow":false},{"acltype":"unsubscribeLiteral","topic":"may/stay","allow":false}]},
		{"command":"createClient","username":"ann","password":"pine","roles":[{"rolename":"r"}]},
		{"command":"createClient","username":"bound","password":"oak","clientid":"phone"}`)
	for name, open := range map[string]func(testing.TB, *testbed.Broker, packet.Version) *testbed.Client{"TCP": dial, "TLS": dialTLS} {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(fmt.Sprintf("%s/%d", name, v), func(t *testing.T) {
				refused(t, open(t, b, v), user{"ann", "oak", "a"})
				refused(t, open(t, b, v), user{"ann", "", "a"})
				refused(t, open(t, b, v), user{"eve", "pine", "a"})
				refused(t, open(t, b, v), user{"", "", "a"})
				refused(t, open(t, b, v), user{"bound", "oak", "a"})
				login(t, open(t, b, v), user{"bound", "oak", "phone"})
				ann := login(t, open(t, b, v), user{"ann", "pine", "a"})
				if code := subscribe(t, ann, "may/#"); code.Failed() {
					t.Errorf("SUBACK %v", code)
				}
				subscribe(t, ann, "may/stay")
				if code := subscribe(t, ann, "other/#"); code == packet.Success {
					t.Error("a filter without a rule is accepted")
				}
				if v == packet.V5 {
					if code := publish(t, ann, "other/x"); code != packet.NotAuthorized {
						t.Errorf("PUBACK %v", code)
					}
					if code := publish(t, ann, commandTopic); code != packet.NotAuthorized {
						t.Errorf("PUBACK %v for a command", code)
					}
					if code := unsubscribe(t, ann, "may/stay"); code != packet.NotAuthorized {
						t.Errorf("UNSUBACK %v", code)
					}
				} else {
					publish(t, ann, commandTopic)
					unsubscribe(t, ann, "may/stay")
				}
				// What may not be read does not come, and what may not be ended goes on.
				if code := unsubscribe(t, ann, "may/#"); code.Failed() {
					t.Errorf("UNSUBACK %v", code)
				}
				publish(t, ann, "may/not/this")
				if err := ann.Send(&packet.Publish{Topic: []byte("may/stay"), Payload: []byte("yes")}); err != nil {
					t.Fatal(err)
				}
				if p, err := testbed.Until[*packet.Publish](ann); err != nil || string(p.Topic) != "may/stay" {
					t.Errorf("%+v, %v", p, err)
				}
				// A change ends the connection; afterwards the new rules hold.
				c.do(`{"command":"addRoleACL","rolename":"r","acltype":"publishClientSend","topic":"more","allow":true}`)
				if v == packet.V5 {
					if d, err := testbed.Until[*packet.Disconnect](ann); err != nil || d.Code != packet.AdministrativeAction {
						t.Errorf("%+v, %v", d, err)
					}
				}
				if err := ann.Rest(testbed.Patience); err != nil {
					t.Errorf("the connection goes on: %v", err)
				}
				ann = login(t, open(t, b, v), user{"ann", "pine", "a"})
				if code := publish(t, ann, "more"); code == packet.NotAuthorized {
					t.Errorf("PUBACK %v", code)
				}
				c.do(`{"command":"removeRoleACL","rolename":"r","acltype":"publishClientSend","topic":"more"}`)
			})
		}
	}
	// Nothing of all these changed anything by a command of somebody who may not.
	if all := c.do(`{"command":"listClients"}`); string(all[0].Data) != `{"totalCount":3,"clients":["admin","ann","bound"]}` {
		t.Errorf("%s", all[0].Data)
	}
	address := url.URL{Scheme: "ws", Host: b.Addr(t, "PORT_WS"), Path: "/mqtt"}
	o := mqtt.NewClientOptions().AddBroker(address.String()).SetClientID("w").SetUsername("ann").SetPassword("pine").SetAutoReconnect(false)
	lost := make(chan error, 1)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	w := mqtt.NewClient(o)
	if token := w.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	if token := w.Subscribe("other/#", 0, nil).(*mqtt.SubscribeToken); token.Wait() && token.Result()["other/#"] < 0x80 {
		t.Error("a filter without a rule is accepted over WebSocket")
	}
	c.do(`{"command":"deleteClient","username":"ann"}`)
	<-lost
}

// What has been answered outlives a kill, whenever it comes.
func TestAnsweredIsKept(t *testing.T) {
	t.Parallel()
	b := start(t, open)
	made := 0
	for round := range 6 {
		c := newConsole(t, dial(t, b, packet.V311))
		if all := c.do(`{"command":"listClients"}`); !strings.HasPrefix(string(all[0].Data), `{"totalCount":`) || strings.Count(string(all[0].Data), `"user`) < made {
			t.Fatalf("round %d: %d users were made, and there is %s", round, made, all[0].Data)
		}
		for range 3 + 4*round {
			c.do(fmt.Sprintf(`{"command":"createClient","username":"user%d","password":"p"}`, made))
			made++
		}
		// One more is under way when the end comes.
		if err := c.Send(&packet.Publish{Topic: []byte(commandTopic), Payload: []byte(`{"commands":[{"command":"createGroup","groupname":"half"},{"command":"deleteGroup","groupname":"half"}]}`)}); err != nil {
			t.Fatal(err)
		}
		if err := b.Kill(); err != nil {
			t.Fatal(err)
		}
		b.Run(t)
		login(t, dial(t, b, packet.V5), user{fmt.Sprintf("user%d", made-1), "p", "x"})
	}
	if files, err := os.ReadDir(b.Path("rights")); err != nil || len(files) > 7 { // what a kill leaves half written has another name
		t.Errorf("%d files, %v", len(files), err)
	}
}

// A change that cannot be put on the disk is none, and is said to be none.
func TestNotSaved(t *testing.T) {
	t.Parallel()
	b := start(t, open)
	c := newConsole(t, dial(t, b, packet.V5))
	if err := os.Rename(b.Path("rights"), b.Path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	all, err := c.ask(`{"command":"createClient","username":"ann","password":"x"},{"command":"getClient","username":"admin"},{"command":"createClient","username":"admin"}`)
	if err != nil || len(all) != 3 || !strings.Contains(all[0].Error, "rights-not-saved") || all[1].Error != "" || all[2].Error != "Client already exists" {
		t.Fatalf("%+v, %v", all, err)
	}
	logs(t, b, "[rights-not-saved]")
	refused(t, dial(t, b, packet.V5), user{"ann", "x", "a"})
	if err := os.Rename(b.Path("elsewhere"), b.Path("rights")); err != nil {
		t.Fatal(err)
	}
	c.do(`{"command":"createClient","username":"ann","password":"x"}`)
	login(t, dial(t, b, packet.V5), user{"ann", "x", "a"})
}

// A file that somebody else has changed is not written over; a reload reads it, and whom it does not have any more has to go.
func TestReload(t *testing.T) {
	t.Parallel()
	b := start(t, open)
	c := newConsole(t, dial(t, b, packet.V5))
	c.do(`{"command":"createClient","username":"ann","password":"x"},{"command":"createClient","username":"bob","password":"y"}`)
	ann, bob := login(t, dial(t, b, packet.V5), user{"ann", "x", "a"}), login(t, dial(t, b, packet.V5), user{"bob", "y", "b"})
	path := b.Path("rights/dynamic-security.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), `"bob"`, `"bobby"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := c.ask(`{"command":"createGroup","groupname":"g"}`); err != nil || !strings.Contains(all[0].Error, "rights-not-saved") {
		t.Fatalf("%+v, %v", all, err)
	}
	b.Signal(syscall.SIGHUP)
	if d, err := testbed.Until[*packet.Disconnect](bob); err != nil || d.Code != packet.NotAuthorized {
		t.Errorf("%+v, %v", d, err)
	}
	logs(t, b, "The new configuration is in force.")
	if code := publish(t, ann, "x"); code != packet.NotAuthorized { // ann and the console stay
		t.Errorf("PUBACK %v", code)
	}
	c.do(`{"command":"createGroup","groupname":"g"}`)
	login(t, dial(t, b, packet.V5), user{"bobby", "y", "b"})
	// With a mistake in it everything stays as it was.
	if err := os.WriteFile(path, []byte(`{"clients":`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Signal(syscall.SIGHUP)
	logs(t, b, "The old configuration stays in force.")
	login(t, dial(t, b, packet.V5), user{"bobby", "y", "b"})
}

// With per_listener_settings the file is about the listeners that name it. Others have rules of their own, and nobody there may send commands.
func TestPerListener(t *testing.T) {
	t.Parallel()
	b := start(t, "user root\nper_listener_settings true\nlog_dest stdout\nlistener ${PORT} 127.0.0.1\nallow_anonymous false\n"+plugin+"listener ${PORT_OPEN} 127.0.0.1\nallow_anonymous true\nlistener ${PORT_SAME} 127.0.0.1\n"+plugin)
	c := newConsole(t, dial(t, b, packet.V5))
	c.do(`{"command":"createClient","username":"ann","password":"x"}`)
	same := login(t, testbed.Dial(t, b.Addr(t, "PORT_SAME"), packet.V5), user{"ann", "x", "a"})
	anyone := login(t, testbed.Dial(t, b.Addr(t, "PORT_OPEN"), packet.V5), user{"ann", "", "b"})
	if code := publish(t, anyone, "x"); code == packet.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	if code := publish(t, anyone, commandTopic); code != packet.NotAuthorized {
		t.Errorf("PUBACK %v for a command", code)
	}
	if code := publish(t, same, "x"); code != packet.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	c.do(`{"command":"deleteClient","username":"ann"}`)
	if err := same.Rest(testbed.Patience); err != nil {
		t.Errorf("the connection of who is no user any more goes on: %v", err)
	}
	if code := publish(t, anyone, "x"); code == packet.NotAuthorized { // of the same name, and none of this file's
		t.Errorf("PUBACK %v", code)
	}
}

// Beside a password file and an ACL file: who is in the file of users is judged by it, all others by the two.
func TestBesideFiles(t *testing.T) {
	t.Parallel()
	b := testbed.Start(t, testbed.Options{Conf: open + "password_file ${DIR}/passwords\nacl_file ${DIR}/acl\n", Prepare: func(b *testbed.Broker) {
		initialized(t)(b)
		b.Write(t, "acl", "user old\ntopic readwrite old/#\nuser ann\ntopic readwrite file/#\n")
		hashed(t, b.Path("passwords"), "old", "old")
		hashed(t, b.Path("passwords"), "ann", "old")
	}})
	c := newConsole(t, dial(t, b, packet.V5))
	old := login(t, dial(t, b, packet.V5), user{"old", "old", "o"})
	if code := publish(t, old, "old/x"); code == packet.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	if code := publish(t, old, "new/x"); code != packet.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	login(t, dial(t, b, packet.V5), user{"ann", "old", "a"})
	c.do(`{"command":"createRole","rolename":"r","acls":[{"acltype":"publishClientSend","topic":"new/#","allow":true},{"acltype":"publishClientSend","topic":"file/no","allow":false}]},
		{"command":"createClient","username":"ann","password":"new","roles":[{"rolename":"r"}]}`)
	refused(t, dial(t, b, packet.V5), user{"ann", "old", "a"})
	refused(t, dial(t, b, packet.V5), user{"eve", "old", "a"})
	ann := login(t, dial(t, b, packet.V5), user{"ann", "new", "a"})
	for topic, may := range map[string]bool{"new/x": true, "file/yes": true, "file/no": false, "old/x": false} {
		if code := publish(t, ann, topic); (code != packet.NotAuthorized) != may {
			t.Errorf("%s: PUBACK %v", topic, code)
		}
	}
	if code := publish(t, old, "old/x"); code == packet.NotAuthorized {
		t.Errorf("PUBACK %v", code)
	}
	b.Signal(syscall.SIGHUP)
	logs(t, b, "The new configuration is in force.")
	publish(t, old, "old/x") // both are still there
	publish(t, ann, "new/x")
}
