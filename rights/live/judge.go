package live

import (
	"context"

	"picket/access"
	"picket/cause"
	"picket/rights"
)

// Knows tells whether the file has a user of that name.
func (r *Rights) Knows(username string) bool { return r.now.Load().Knows(username) }

// Connect decides about logins with a user name that the file knows; with others where there is no password file. As in mosquitto, the file is asked before the
// password file.
func (r *Rights) Connect(p *access.Policy, l access.Login) (access.Decision, bool) {
	return r.now.Load().Connect(p, l)
}

// Recheck decides whether a client that was let in may stay.
func (r *Rights) Recheck(p *access.Policy, c *access.Client) (access.Decision, bool) {
	return r.now.Load().Recheck(p, c)
}

// Authorize decides what a client may do. What the file does not decide is left to the ACL file, and denied where there is none, as in mosquitto.
func (r *Rights) Authorize(c *access.Client, a access.Action, topic string) (access.Decision, bool) {
	return r.now.Load().Authorize(c, a, topic)
}

// Rule names, for people, the rule that decides whether a user may do something; empty: there is none.
func (r *Rights) Rule(username, clientID string, a access.Action, topic string) string {
	if v := r.State().May(username, clientID, false, actions[a].is, topic); v.Decided {
		return v.By.String()
	}
	return ""
}

// Knows is that of [Rights].
func (f *inForce) Knows(username string) bool {
	_, known := f.Login(username)
	return known
}

// Connect is that of [Rights].
func (f *inForce) Connect(p *access.Policy, l access.Login) (access.Decision, bool) {
	if !l.HasUsername {
		return access.Decision{}, false
	}
	user, known := f.Login(l.Username)
	elsewhere := p.Config().PasswordFile != ""
	switch {
	case l.Certified:
		return fit(user, l.ClientID), known
	case elsewhere && (!known || user.Password == nil && fit(user, l.ClientID).Allow):
		return access.Decision{}, false
	case !l.HasPassword || len(l.Password) == 0:
		return access.Decision{Cause: cause.BadCredentials, Text: "a user name without a password"}, true
	}
	is := user.Password
	if is == nil {
		is, known = f.decoy(l.Username), false
	}
	return access.Decision{Later: &access.Later{Computes: true, Get: func(context.Context) access.Decision {
		if right := access.VerifyPBKDF2(l.Password, is.Salt, is.Hash, is.Iterations); !right || !known {
			return access.Decision{Cause: cause.BadCredentials, Text: "unknown user or wrong password"}
		}
		d := fit(user, l.ClientID)
		d.Grant = is
		return d
	}}}, true
}

// fit decides whether a user who has shown who it is may connect with a client identifier.
func fit(u rights.Login, clientID string) access.Decision {
	switch {
	case u.Disabled:
		return access.Decision{Cause: cause.UserDisabled, Text: "the user has been disabled"}
	case u.ClientID != "" && u.ClientID != clientID:
		return access.Decision{Cause: cause.UserOtherClientID, Text: "the user may connect with another client id only"}
	}
	return access.Decision{Allow: true}
}

// Recheck is that of [Rights].
func (f *inForce) Recheck(p *access.Policy, c *access.Client) (access.Decision, bool) {
	if !c.HasUsername {
		return access.Decision{}, false
	}
	user, known := f.Login(c.Username)
	was, _ := c.Grant.(*rights.Password)
	switch {
	case !known && was == nil && (c.Certified || p.Config().PasswordFile != ""):
		return access.Decision{}, false // it has been let in elsewhere
	case !known:
		return access.Decision{Cause: cause.NoLongerAllowed, Text: "the user is no longer in the file of users and rights"}, true
	case was == nil && !c.Certified && user.Password == nil && fit(user, c.ID).Allow:
		return access.Decision{}, false // the password file has let it in
	case !c.Certified && !user.Password.Equal(was):
		return access.Decision{Cause: cause.NoLongerAllowed, Text: "the user's password was changed"}, true
	}
	return fit(user, c.ID), true
}

// actions are the questions of package access as this model has them, and how a no is called.
var actions = map[access.Action]struct {
	is rights.Action
	no cause.ID
}{
	access.Publish:     {rights.Send, cause.ACLPublishDenied},
	access.Deliver:     {rights.Receive, cause.ACLReadDenied},
	access.Subscribe:   {rights.Subscribe, cause.ACLSubscribeDenied},
	access.Unsubscribe: {rights.Unsubscribe, cause.ACLUnsubscribeDenied},
}

// Authorize is that of [Rights].
func (f *inForce) Authorize(c *access.Client, a access.Action, topic string) (access.Decision, bool) {
	asked := actions[a]
	v := f.May(c.Username, c.ID, !c.HasUsername, asked.is, topic)
	switch {
	case v.Decided && v.Allow:
		return access.Decision{Allow: true}, true
	case !v.Decided && c.Policy().Config().ACLFile != "":
		return access.Decision{}, false
	case v.Decided:
		return access.Decision{Cause: asked.no, Text: v.By.String()}, true
	case !v.Known:
		return access.Decision{Cause: asked.no, Text: "the user is not in the file of users and rights"}, true
	}
	return access.Decision{Cause: asked.no, Text: "no rule of the user's roles allows it"}, true
}
