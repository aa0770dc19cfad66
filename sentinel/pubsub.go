package sentinel

import (
	"slices"

	"picket/resp"
	"picket/sentinel/machine"
)

// Clients subscribe to events: each is published on the channel of its name.

func push(c *client, elems ...resp.Value) { c.write(resp.Value{Kind: resp.Push, Elems: elems}) }

// change subscribes or unsubscribes and confirms each name with the number of subscriptions that are left.
func change(c *client, what string, names []string, list *[]string, add bool) resp.Value {
	if !add && len(names) == 0 {
		c.mu.Lock()
		names = slices.Clone(*list)
		c.mu.Unlock()
		if len(names) == 0 {
			c.mu.Lock()
			n := len(c.channels) + len(c.patterns)
			c.mu.Unlock()
			push(c, resp.Str(what), resp.Value{Kind: resp.Null}, resp.Int(int64(n)))
			return noReply
		}
	}
	for _, name := range names {
		c.mu.Lock()
		i := slices.Index(*list, name)
		switch {
		case add && i < 0:
			*list = append(*list, name)
		case !add && i >= 0:
			*list = slices.Delete(*list, i, i+1)
		}
		n := len(c.channels) + len(c.patterns)
		c.mu.Unlock()
		push(c, resp.Str(what), resp.Str(name), resp.Int(int64(n)))
	}
	return noReply
}

func subscribe(c *client, args []string) resp.Value {
	return change(c, "subscribe", args[1:], &c.channels, true)
}

func unsubscribe(c *client, args []string) resp.Value {
	return change(c, "unsubscribe", args[1:], &c.channels, false)
}

func psubscribe(c *client, args []string) resp.Value {
	return change(c, "psubscribe", args[1:], &c.patterns, true)
}

func punsubscribe(c *client, args []string) resp.Value {
	return change(c, "punsubscribe", args[1:], &c.patterns, false)
}

// publishEvent sends an event to everyone who listens.
func (s *Sentinel) publishEvent(channel, payload string) {
	for _, c := range s.allClients() {
		c.mu.Lock()
		direct := slices.Contains(c.channels, channel)
		var matching []string
		for _, p := range c.patterns {
			if machine.Match(p, channel) {
				matching = append(matching, p)
			}
		}
		c.mu.Unlock()
		if direct {
			push(c, resp.Str("message"), resp.Str(channel), resp.Str(payload))
		}
		for _, p := range matching {
			push(c, resp.Str("pmessage"), resp.Str(p), resp.Str(channel), resp.Str(payload))
		}
	}
}

// publish takes the hello of another sentinel; there is nothing else that a client may publish.
func publish(c *client, args []string) resp.Value {
	if args[1] != helloChannel {
		return resp.Err("ERR Only HELLO messages are accepted by Sentinel instances.")
	}
	c.s.call(func() { c.s.m.Hello(args[2]) })
	return resp.Int(1)
}

const helloChannel = "__sentinel__:hello"
