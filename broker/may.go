package broker

import (
	"errors"
	"fmt"
	"strconv"

	"picket/access"
	"picket/cause"
	"picket/topic"
)

// Question asks what somebody may do, whether connected or not.
type Question struct {
	Port     int    // of the listener whose rules count; 0: all have the same
	User     string // empty: a client without a user name
	ClientID string
	Action   access.Action // [access.Publish], [access.Subscribe] or [access.Deliver]
	Topic    string        // a topic name, or a filter for [access.Subscribe]; with the listener's mount point
}

// ErrRulesDiffer: the question has to name a port.
var ErrRulesDiffer = errors.New("the listeners have rules of their own (per_listener_settings): name the port of one")

// May decides a question by the rules in force, as it is decided for clients. Who has to be asked for it is asked, and waited
// for. known is false when nothing that can be looked at has the user: then only a certificate, or a back end that tells nobody whom it knows, could bring that name. Errors say what is wrong with the question.
func (b *Broker) May(q Question) (d access.Decision, known bool, err error) {
	p, err := b.rulesOf(q.Port)
	if err != nil {
		return d, false, err
	}
	check := func() error { return topic.CheckName([]byte(q.Topic)) }
	if q.Action == access.Subscribe {
		check = func() error { return topic.CheckFilter(q.Topic) }
	}
	if err := check(); err != nil {
		return d, false, err
	}
	c := p.Client(access.Login{ClientID: q.ClientID, HasUsername: q.User != "", Username: q.User}, access.Decision{})
	switch q.Action {
	case access.Publish:
		d = c.Publish(q.Topic)
	case access.Subscribe:
		d = c.Subscribe(q.Topic)
	case access.Deliver:
		if d.Allow = c.Deliver(q.Topic); !d.Allow {
			d.Cause = cause.ACLReadDenied
		}
	default:
		return d, false, fmt.Errorf("action %d cannot be asked about", q.Action)
	}
	if d.Later != nil {
		d = b.get(nil, d.Later)
	}
	return d, p.Knows(q.User), nil
}

// rulesOf returns the rules of a listener.
func (b *Broker) rulesOf(port int) (*access.Policy, error) {
	t := b.settings.Load()
	if port == 0 {
		if len(t.policies) > 1 {
			return nil, ErrRulesDiffer
		}
		return t.policies[0], nil
	}
	for _, l := range t.Listeners {
		if l.Port == port {
			return t.policies[l.Security], nil
		}
	}
	return nil, errors.New("there is no listener on port " + strconv.Itoa(port))
}

// PasswordFiles returns the users of each password file in force.
func (b *Broker) PasswordFiles() map[string][]string {
	files := make(map[string][]string)
	for _, p := range b.settings.Load().policies {
		if path := p.Config().PasswordFile; path != "" {
			files[path] = p.Users()
		}
	}
	return files
}
