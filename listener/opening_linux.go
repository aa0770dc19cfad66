package listener

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"picket/cause"
)

// stage is how far a plain connection has come.
type stage byte

const (
	stageFresh  stage = iota // accepted; its first bytes are still looked at
	stageProxy               // not accepted: a PROXY header is due
	stageAuto                // not accepted: the first bytes will tell what it is
	stageServed              // the client gets everything
)

// opening is what a connection needs beyond itself until it is accepted.
type opening struct {
	timer *time.Timer
	proxy *ProxyTLS
}

func (o *opening) stop() {
	if o.timer != nil {
		o.timer.Stop()
	}
}

func (o *opening) proxied(i *Info) { i.ProxyTLS = o.proxy }

// wait makes a connection that is to be accepted only after it has sent something.
func (c *plain) wait(proxied bool) {
	c.stage = stageAuto
	if proxied {
		c.stage = stageProxy
	}
	c.first = &opening{timer: time.AfterFunc(c.loop.set.opt.OpeningLimit, func() {
		c.loop.post(task{kind: taskDo, do: func(*loop) { c.late() }})
	})}
}

// late ends a connection that has not become one in time.
func (c *plain) late() {
	switch {
	case c.over:
	case c.stage == stageProxy:
		c.refuse(cause.ConnectTimeout, fmt.Sprintf("no PROXY header within %v", c.loop.set.opt.OpeningLimit), nil)
	case c.stage == stageAuto:
		c.refuse(cause.ConnectTimeout, fmt.Sprintf("nothing recognizable within %v", c.loop.set.opt.OpeningLimit), nil)
	}
}

// drop closes a connection that no loop knows.
func (c *plain) drop() {
	c.loop.load.Add(-1)
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	unix.Close(int(fd))
}

// refuse answers, reports and ends.
func (c *plain) refuse(id cause.ID, text string, answer []byte) {
	r := &Refusal{c.remote, c.at.cfg, id, text, c.client != nil}
	c.loop.set.refuse(r)
	if len(answer) > 0 {
		c.Write([][]byte{answer})
	}
	c.end(r)
}

// open looks at the first bytes, b being all of them. It runs until the client gets them.
func (c *plain) open(b []byte) {
	used := 0
	if c.stage == stageProxy {
		h, err := parseProxy(b)
		switch {
		case err != nil:
			c.refuse(err.Cause, err.Text, nil)
			return
		case h.size == 0:
			c.in.keep(b, 0, len(b)+1, &c.loop.spares)
			return
		}
		used = h.size
		if h.remote.IsValid() {
			c.remote, c.at = h.remote, &endpoint{c.at.settings, h.local}
		}
		c.first.proxy = h.tls
		if c.stage = stageAuto; c.at.cfg.Protocol != Auto {
			if !c.admit() {
				return
			}
			c.stage = stageFresh
		}
	}
	first := b[used:]
	kind := sniff(first)
	switch {
	case kind == opensUnknown:
		c.in.keep(b, used, len(first)+1, &c.loop.spares)
		return
	case c.stage == stageAuto && (kind == opensTLS || kind == opensHTTP):
		c.handOver(first)
		return
	case kind == opensMQTT || kind == opensOther && c.stage == stageFresh:
		if c.stage == stageAuto && !c.admit() {
			return
		}
		c.stage = stageServed
		n, need := c.client.Read(c.loop.worker, first)
		c.in.keep(b, used+n, need, &c.loop.spares)
	default:
		r := mismatch(c.at.settings, false, kind)
		c.refuse(r.cause, r.text, r.answer)
	}
}

// admit announces the connection to the core and tells whether it may stay.
func (c *plain) admit() bool {
	c.first.stop()
	if c.first.proxy == nil {
		c.first = nil
	}
	if c.client = c.loop.set.accept(c.at.server, c); c.client == nil {
		c.end(nil)
		return false
	}
	return true
}

// handOver gives the connection, with what it has sent so far, to a goroutine.
func (c *plain) handOver(b []byte) {
	c.first.stop()
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, int(fd), nil)
	p := prelude{bytes: append([]byte(nil), b...), proxyTLS: c.first.proxy, proxied: true}
	c.end(nil)
	c.loop.set.streams.fromFile(os.NewFile(uintptr(fd), ""), c.at, c.remote, p)
}
