package listener

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"picket/cause"
)

// stage is how far a plain connection has come.
type stage byte

const (
	stageFresh   stage = iota // accepted; its first bytes are still looked at
	stageProxy                // not accepted: a PROXY header is due
	stageAuto                 // not accepted: the first bytes will tell what it is
	stageServed               // the client gets everything
	stageLingers              // the client has gone, and its peer may still read what was written last
)

// opening is what a connection needs beyond itself until it is admitted.
type opening struct {
	newcomer
	timer *time.Timer
	proxy *ProxyTLS
	spare int // bytes that may still be thrown away while the connection lingers
}

func (o *opening) stop() {
	if o.timer != nil {
		o.timer.Stop()
	}
}

func (c *plain) Hold(bytes int) {
	if o := c.first.Load(); o != nil {
		c.loop.set.newcomers.setHeld(&o.newcomer, bytes)
	}
}

func (c *plain) Admitted() {
	if o := c.first.Load(); o != nil {
		c.loop.set.newcomers.leave(&o.newcomer)
		if o.proxy == nil {
			c.first.Store(nil)
		}
	}
}

func (c *plain) castOut(remote netip.AddrPort) {
	if !c.polite.Load() { // else it has had its say
		c.loop.set.castOut(remote, c.at.cfg)
	}
	c.closing.Store(true)
	c.loop.post(task{kind: taskClose, conn: c})
}

// asked is the reason for which a connection ends that somebody has asked to close.
func (c *plain) asked() error {
	if o := c.first.Load(); o != nil && o.evicted.Load() {
		return ErrCastOut
	}
	return nil
}

// wait makes a connection that is to be accepted only after it has sent something.
func (c *plain) wait(proxied bool) {
	c.stage = stageAuto
	if proxied {
		c.stage = stageProxy
	}
	o := c.first.Load()
	o.timer = time.AfterFunc(time.Until(o.since.Add(c.at.cfg.openingLimit())), func() {
		c.loop.post(task{kind: taskDo, do: func(*loop) { c.late() }})
	})
}

// linger shuts the sending side down and reads on for a while, so that the peer gets what was written last: closing a socket that has unread input,
// or gets some later, resets the connection, and many systems throw away what they have not passed on yet when a reset arrives. The client has gone.
func (c *plain) linger() bool {
	if !c.polite.Load() || c.stage == stageLingers || c.loop.stopping || c.fd < 0 || c.asked() != nil {
		return false
	}
	if unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
		return false // the peer is gone
	}
	if o := c.first.Load(); o != nil {
		o.stop()
		c.loop.set.newcomers.leave(&o.newcomer)
	}
	c.stage, c.client, c.over = stageLingers, nil, false
	o := &opening{newcomer: newcomer{conn: c, since: time.Now(), base: plainCost}, spare: lingerBytes}
	o.timer = time.AfterFunc(lingerTime, func() { c.loop.post(task{kind: taskClose, conn: c}) })
	c.first.Store(o)
	c.loop.set.newcomers.enter(&o.newcomer, c.remote)
	c.mu.Lock()
	c.watch = unix.EPOLLIN
	err := c.rewatch()
	c.mu.Unlock()
	return err == nil && c.discard()
}

// discard throws away what has arrived, and reports whether more may come.
func (c *plain) discard() bool {
	n, err := unix.Read(int(c.fd), c.loop.shared)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return true
	case err != nil || n == 0:
		return false
	}
	o := c.first.Load()
	o.spare -= n
	return o.spare > 0
}

// late ends a connection that has not become one in time.
func (c *plain) late() {
	switch {
	case c.over:
	case c.stage == stageProxy:
		c.refuse(cause.ConnectTimeout, fmt.Sprintf("no PROXY header within %v", c.at.cfg.openingLimit()), nil)
	case c.stage == stageAuto:
		c.refuse(cause.ConnectTimeout, fmt.Sprintf("nothing recognizable within %v", c.at.cfg.openingLimit()), nil)
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
	if o := c.first.Load(); o != nil {
		o.stop()
		c.loop.set.newcomers.leave(&o.newcomer)
	}
}

// refuse answers, reports and ends.
func (c *plain) refuse(id cause.ID, text string, answer []byte) {
	r := &Refusal{c.remote, c.at.cfg, id, text, c.client != nil}
	c.loop.set.refuse(r)
	if len(answer) > 0 {
		c.Write([][]byte{answer})
		c.polite.Store(true)
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
			c.keep(b, 0, len(b)+1)
			return
		}
		used = h.size
		if h.remote.IsValid() {
			c.remote, c.at = h.remote, &endpoint{c.at.settings, h.local}
			c.loop.set.newcomers.move(&c.first.Load().newcomer, h.remote)
		}
		c.first.Load().proxy = h.tls
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
		c.keep(b, used, len(first)+1)
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
		c.keep(b, used+n, need)
	default:
		r := mismatch(c.at.settings, false, kind)
		c.refuse(r.cause, r.text, r.answer)
	}
}

// admit announces the connection to the core and tells whether it may stay.
func (c *plain) admit() bool {
	c.first.Load().stop()
	if c.client = c.loop.set.accept(c.at.server, c); c.client == nil {
		c.end(nil)
		return false
	}
	return true
}

// handOver gives the connection, with what it has sent so far, to a goroutine.
func (c *plain) handOver(b []byte) {
	o := c.first.Load()
	o.stop()
	c.loop.set.newcomers.leave(&o.newcomer)
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, int(fd), nil)
	p := prelude{bytes: append([]byte(nil), b...), proxyTLS: o.proxy, proxied: true, since: o.since}
	c.end(nil)
	c.loop.set.streams.fromFile(os.NewFile(uintptr(fd), ""), c.at, c.remote, p)
}
