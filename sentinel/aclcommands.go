package sentinel

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/resp"
)

func aclCat(_ *client, args []string) resp.Value {
	if len(args) > 3 {
		return resp.Err("ERR wrong number of arguments for 'acl|cat' command")
	}
	if len(args) == 2 {
		return resp.Strs(categories[:len(categories)-1]...)
	}
	cat := strings.ToLower(args[2])
	if !slices.Contains(categories, cat) || cat == "all" {
		return resp.Err(fmt.Sprintf("ERR Unknown category '%s'", args[2]))
	}
	var names []string
	for _, cmd := range commandOrder {
		for _, c := range append([]*command{cmd}, cmd.order...) {
			if slices.Contains(c.categories, cat) {
				names = append(names, c.name)
			}
		}
	}
	return resp.Strs(names...)
}

func aclWhoAmI(c *client, _ []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	return resp.Str(c.userName())
}

func aclUsers(c *client, _ []string) resp.Value {
	a := c.s.acl
	a.mu.RLock()
	defer a.mu.RUnlock()
	var names []string
	for n := range a.users {
		names = append(names, n)
	}
	slices.Sort(names)
	return resp.Strs(names...)
}

func aclList(c *client, _ []string) resp.Value { return resp.Strs(c.s.acl.list()...) }

func aclSetUser(c *client, args []string) resp.Value {
	a := c.s.acl
	name := args[2]
	if unsafeWord(name) {
		return resp.Err("ERR Usernames can't contain spaces or null characters")
	}
	a.mu.Lock()
	u := newUser(name)
	if old := a.users[name]; old != nil {
		u = old.clone()
	}
	for _, r := range joinSelectors(args[3:]) {
		if err := u.set(r); err != nil {
			a.mu.Unlock()
			return resp.Err(fmt.Sprintf("ERR Error in ACL SETUSER modifier '%s': %s", r, err))
		}
	}
	a.users[name] = u
	a.mu.Unlock()
	// Who may no longer listen to what it listens to is disconnected.
	for _, o := range c.s.allClients() {
		o.mu.Lock()
		gone := o.user != nil && o.user.name == name && (!allAllowed(u, o.channels, false) || !allAllowed(u, o.patterns, true))
		o.mu.Unlock()
		if gone {
			o.kill(o == c)
		}
	}
	return c.s.saveUsers()
}

func allAllowed(u *user, names []string, pattern bool) bool {
	for _, n := range names {
		ok := u.allowsChannel(n, pattern)
		for i := range u.selectors {
			ok = ok || u.selectors[i].allowsChannel(n, pattern)
		}
		if !ok {
			return false
		}
	}
	return true
}

// saveUsers writes the users to the configuration file, where they are kept there.
func (s *Sentinel) saveUsers() resp.Value {
	if s.cfg.ACLFile == "" {
		s.call(func() { s.m.Flush() })
	}
	return resp.OK
}

func aclDelUser(c *client, args []string) resp.Value {
	a := c.s.acl
	n := int64(0)
	for _, name := range args[2:] {
		if name == "default" {
			return resp.Err("ERR The 'default' user cannot be removed")
		}
	}
	a.mu.Lock()
	gone := map[string]bool{}
	for _, name := range args[2:] {
		if a.users[name] != nil {
			delete(a.users, name)
			gone[name] = true
			n++
		}
	}
	a.mu.Unlock()
	for _, o := range c.s.allClients() {
		o.mu.Lock()
		name := o.userName()
		o.mu.Unlock()
		if gone[name] {
			o.kill(o == c)
		}
	}
	if n > 0 {
		c.s.saveUsers()
	}
	return resp.Int(n)
}

func aclGetUser(c *client, args []string) resp.Value {
	u := c.s.acl.get(args[2])
	if u == nil {
		return resp.Value{Kind: resp.Null}
	}
	flags := []string{"off"}
	if u.on {
		flags[0] = "on"
	}
	if u.noPass {
		flags = append(flags, "nopass")
	}
	if u.sanitize {
		flags = append(flags, "sanitize-payload")
	}
	if u.skip {
		flags = append(flags, "skip-sanitize-payload")
	}
	set := resp.Strs(flags...)
	set.Kind = resp.Set
	rules := func(s *selector) []resp.Value {
		return []resp.Value{
			resp.Str("commands"), resp.Str(strings.Join(s.commands, " ")), resp.Str("keys"), resp.Str(strings.Join(s.keys, " ")),
			resp.Str("channels"), resp.Str(s.channelText()),
		}
	}
	v := resp.Value{Kind: resp.Map, Elems: []resp.Value{resp.Str("flags"), set, resp.Str("passwords"), resp.Strs(u.passwords...)}}
	v.Elems = append(v.Elems, rules(&u.selector)...)
	sel := resp.Value{Kind: resp.Array}
	for i := range u.selectors {
		sel.Elems = append(sel.Elems, resp.Value{Kind: resp.Map, Elems: rules(&u.selectors[i])})
	}
	v.Elems = append(v.Elems, resp.Str("selectors"), sel)
	return v
}

func aclDryRun(c *client, args []string) resp.Value {
	u := c.s.acl.get(args[2])
	if u == nil {
		return resp.Err(fmt.Sprintf("ERR User '%s' not found", args[2]))
	}
	words := args[3:]
	cmd, err := c.s.lookup(words)
	if err != nil {
		if commandTable[strings.ToLower(words[0])] == nil {
			return resp.Err(fmt.Sprintf("ERR Command '%s' not found", words[0]))
		}
		return resp.Err(err.Error())
	}
	if d := u.denies(cmd, words); d != nil {
		if d.reason == "channel" {
			return resp.Str("This user has no permissions to access the '" + d.object + "' channel")
		}
		return resp.Str("This user has no permissions to run the '" + d.object + "' command")
	}
	return resp.OK
}

func aclGenPass(_ *client, args []string) resp.Value {
	bits := 256
	if len(args) > 3 {
		return resp.Err("ERR wrong number of arguments for 'acl|genpass' command")
	}
	if len(args) == 3 {
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return resp.Err(notInteger)
		}
		if n <= 0 || n > 4096 {
			return resp.Err("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
		}
		bits = n
	}
	digits := (bits + 3) / 4
	b := make([]byte, (digits+1)/2)
	rand.Read(b)
	return resp.Str(hex.EncodeToString(b)[:digits])
}

func aclLog(c *client, args []string) resp.Value {
	a := c.s.acl
	limit := 10
	if len(args) > 3 {
		return resp.Err("ERR wrong number of arguments for 'acl|log' command")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(args) == 3 {
		if strings.EqualFold(args[2], "reset") {
			a.log = nil
			return resp.OK
		}
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return resp.Err(notInteger)
		}
		limit = max(n, 0)
	}
	v := resp.Value{Kind: resp.Array}
	for _, e := range a.log[:min(limit, len(a.log))] {
		v.Elems = append(v.Elems, resp.Value{Kind: resp.Map, Elems: []resp.Value{
			resp.Str("count"), resp.Int(e.count), resp.Str("reason"), resp.Str(e.reason), resp.Str("context"), resp.Str(e.context),
			resp.Str("object"), resp.Str(e.object), resp.Str("username"), resp.Str(e.user),
			resp.Str("age-seconds"), {Kind: resp.Double, Str: strconv.FormatFloat(time.Since(e.created).Seconds(), 'f', 3, 64)},
			resp.Str("client-info"), resp.Str(e.client), resp.Str("entry-id"), resp.Int(e.id),
			resp.Str("timestamp-created"), resp.Int(e.created.UnixMilli()), resp.Str("timestamp-last-updated"), resp.Int(e.updated.UnixMilli()),
		}})
	}
	return v
}

const noACLFile = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration."

// load reads an ACL file, all of it or nothing.
func (a *acl) load(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("Error loading ACLs, opening file '%s': %w", path, err)
	}
	users := map[string]*user{}
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		words := strings.Fields(string(line))
		if len(words) == 0 {
			continue
		}
		if words[0] != "user" || len(words) < 2 {
			errs = append(errs, fmt.Errorf("%s:%d: line should start with user keyword followed by the username", path, n))
			continue
		}
		u, err := parseUser(words[1:])
		if err == nil && users[u.name] != nil {
			err = fmt.Errorf("user %s: defined twice", u.name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, n, err))
			continue
		}
		users[u.name] = u
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if users["default"] == nil {
		users["default"] = a.users["default"]
	}
	a.users = users
	return nil
}

func aclLoad(c *client, _ []string) resp.Value {
	if c.s.cfg.ACLFile == "" {
		return resp.Err(noACLFile)
	}
	if err := c.s.acl.load(c.s.cfg.ACLFile); err != nil {
		return resp.Err("ERR " + strings.ReplaceAll(err.Error(), "\n", " "))
	}
	for _, o := range c.s.allClients() {
		o.mu.Lock()
		gone := o.user != nil && c.s.acl.get(o.user.name) == nil
		o.mu.Unlock()
		if gone {
			o.kill(o == c)
		}
	}
	return resp.OK
}

func aclSave(c *client, _ []string) resp.Value {
	path := c.s.cfg.ACLFile
	if path == "" {
		return resp.Err(noACLFile)
	}
	text := strings.Join(c.s.acl.lines(), "\n") + "\n"
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Sync(), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		c.s.log.printf(LogWarning, "Saving ACLs: %v", err)
		return resp.Err("ERR There was an error trying to save the ACLs. Please check the server logs for more information")
	}
	return resp.OK
}
