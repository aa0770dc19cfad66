package machine

import (
	"cmp"
	"errors"
	"slices"

	"picket/cluster/wire"
)

// peer is another living node, with the channel to it and the one from it.
type peer struct {
	incarnation uint64
	row         Row
	beat        int64 // the last that was read, and since when
	still       int64

	kept   []wire.Frame // sent and not acknowledged, by number
	last   uint64       // number of the last frame to it
	moving int64        // when the last of kept was acknowledged, or there was none before
	resent int64        // when kept was sent again
	posted uint64       // up to which number kept is in its mailbox
	post   bool         // a call is under way

	have uint64 // up to which number its frames have come
	owes bool   // it has not been told

	up                           bool // there is a link
	since, heard, beaten, dialed int64
	every                        int64 // how often it is dialed

	routes    map[string]wire.Change // what it wants
	gathering map[string]wire.Change // a whole list that has not ended
	complete  bool                   // its whole list has come
	seen      uint64                 // up to which number it has seen this node's routes
	had       map[uint64]uint64      // its runs that may be sent again, and at which position they came

	unsettled int    // runs that have been sent to it, and wait for its answer
	out, in   uint64 // messages in runs to it and from it; those that were sent again count again
}

// mailbox is this node's own.
type mailbox struct {
	upto   uint64
	asking bool
	next   int64
}

// meet makes a peer of a row, and tells it all routes.
func (m *Machine) meet(r Row) {
	m.sendRoutes()
	p := &peer{incarnation: r.Incarnation, row: r, beat: r.Beat, still: m.now, since: m.now, moving: m.now, dialed: m.now - m.opt.Times.Dial,
		routes: map[string]wire.Change{}, had: map[uint64]uint64{}}
	if p.every = m.opt.Times.Dial; r.Incarnation < m.me { // the smaller one dials, and the other less often, so that they do not do it at the same time again and again
		p.every, p.dialed = m.opt.Times.Dial*5/2, m.now
	}
	m.peers[p.incarnation] = p
	at, _ := slices.BinarySearchFunc(m.order, p.incarnation, func(x *peer, i uint64) int { return cmp.Compare(x.incarnation, i) })
	m.order = slices.Insert(m.order, at, p)
	m.introduce(p)
}

// part gives a peer up that has died.
func (m *Machine) part(p *peer) {
	m.hangUp(p)
	delete(m.peers, p.incarnation)
	m.order = slices.DeleteFunc(m.order, func(x *peer) bool { return x == p })
	for at := range m.received {
		if at.from == p.incarnation {
			delete(m.received, at)
		}
	}
	m.forgetPeerInMoved(p.incarnation)
	m.doDuties()
}

// Hello is what a link to a peer has to begin with, on this side; nil if there is no such peer.
func (m *Machine) Hello(incarnation uint64) *wire.Hello {
	p := m.peers[incarnation]
	if p == nil {
		m.readNext = m.now
		return nil
	}
	return &wire.Hello{Node: m.opt.Name, Incarnation: m.me, To: incarnation, Lowest: wire.Lowest, Highest: wire.Highest, Have: p.have}
}

// LinkUp tells that there is a link to a peer, with what its Hello says.
func (m *Machine) LinkUp(incarnation uint64, hello *wire.Hello) {
	p := m.peers[incarnation]
	if p == nil || hello.To != m.me {
		m.emit(HangUp{incarnation})
		m.readNext = m.now
		return
	}
	p.up, p.since, p.heard, p.beaten, p.moving = true, m.now, m.now, m.now, m.now
	m.acknowledged(p, hello.Have)
	m.resend(p)
}

// Alive tells what the link to a peer has done beside whole numbered frames: heard, that it has brought something; moved, that it works although nothing was acknowledged: it has taken a part
// of what there is to send, or brought what stands before the acknowledgement. A long frame takes its time, and the link is no silent one meanwhile.
func (m *Machine) Alive(incarnation uint64, heard, moved bool) {
	p := m.peers[incarnation]
	if p == nil || !p.up {
		return
	}
	if heard {
		p.heard = m.now
	}
	if moved {
		p.moving = m.now
	}
}

// LinkDown tells that the link to a peer is gone.
func (m *Machine) LinkDown(incarnation uint64) {
	if p := m.peers[incarnation]; p != nil && p.up {
		p.up, p.since = false, m.now
	}
}

func (m *Machine) hangUp(p *peer) {
	if p.up {
		p.up, p.since = false, m.now
		m.emit(HangUp{p.incarnation})
	}
}

// send puts a numbered frame into the channel to a peer.
func (m *Machine) send(p *peer, b wire.Body) {
	if len(p.kept) == 0 {
		p.moving = m.now
	}
	p.last++
	f := wire.Frame{Number: p.last, Body: b}
	p.kept = append(p.kept, f)
	if p.up {
		m.emit(Send{p.incarnation, f})
	}
}

func (m *Machine) resend(p *peer) {
	p.resent = m.now
	for _, f := range p.kept {
		m.emit(Send{p.incarnation, f})
	}
}

// acknowledged notes up to which number a peer has had frames.
func (m *Machine) acknowledged(p *peer, have uint64) {
	n := 0
	for n < len(p.kept) && p.kept[n].Number <= have {
		n++
	}
	if n > 0 {
		p.kept, p.moving = slices.Delete(p.kept, 0, n), m.now
	}
}

// tend does what is due for a peer: beats, links to be made and given up, frames to be sent again or put into its mailbox.
func (m *Machine) tend(p *peer) {
	t := &m.opt.Times
	if !p.up {
		if m.now-p.dialed >= p.every {
			p.dialed = m.now
			m.emit(Dial{p.incarnation, p.row.Address, p.row.Fingerprint})
		}
		m.mail(p)
		return
	}
	stuck := len(p.kept) > 0 && m.now-p.moving >= t.Silent
	if stuck || m.now-p.heard >= t.Silent {
		m.hangUp(p)
		p.dialed = m.now
		return
	}
	if len(p.kept) > 0 && m.now-max(p.moving, p.resent) >= t.Again {
		m.resend(p)
	}
	if p.owes || m.now-p.beaten >= t.Beat {
		p.owes, p.beaten = false, m.now
		m.emit(Send{p.incarnation, wire.Frame{Body: &wire.Beat{Have: p.have}}})
	}
}

// mail puts what a peer has not had into its mailbox.
func (m *Machine) mail(p *peer) {
	if p.post || m.now-p.since < m.opt.Times.Mail {
		return
	}
	var frames []wire.Frame
	for _, f := range p.kept {
		if f.Number > p.posted && len(frames) < m.opt.Times.List {
			frames = append(frames, f)
		}
	}
	if len(frames) == 0 && !p.owes {
		return
	}
	p.post, p.owes = true, false
	m.ask(Post{m.me, p.incarnation, append(frames, wire.Frame{Body: &wire.Beat{Have: p.have}})})
}

func (m *Machine) posted(c Post, err error) {
	p := m.peers[c.To]
	if p == nil {
		return
	}
	p.post = false
	switch {
	case errors.Is(err, ErrChanged):
		m.readNext = m.now
	case err != nil:
		p.owes = true
	default:
		for _, f := range c.Frames {
			p.posted = max(p.posted, f.Number)
		}
	}
}

func (m *Machine) tendMailbox() {
	if b := &m.box; !b.asking && m.now >= b.next {
		b.asking, b.next = true, m.now+baseTick
		m.ask(Collect{m.me, b.upto})
	}
}

func (m *Machine) collected(_ Collect, value any, err error) {
	m.box.asking = false
	if err != nil {
		return
	}
	for _, l := range value.([]Letter) {
		if l.Place <= m.box.upto {
			continue
		}
		p := m.peers[l.From]
		if p == nil && m.buried[l.From] == nil {
			m.readNext = m.now // it is not known yet: the letter is read again
			return
		}
		m.box.upto, m.box.next = l.Place, m.now
		for _, f := range l.Frames {
			if m.peers[l.From] == p && p != nil {
				m.frame(p, f)
			}
		}
	}
}

// Frame brings a frame from the link to a peer.
func (m *Machine) Frame(incarnation uint64, f wire.Frame) {
	if p := m.peers[incarnation]; p != nil && p.up {
		p.heard = m.now
		if f.Number > 0 {
			p.moving = m.now // an acknowledgement comes behind what the peer has sent before it
		}
		m.frame(p, f)
	}
}

// frame takes a frame of a peer, in the order of the numbers.
func (m *Machine) frame(p *peer, f wire.Frame) {
	if f.Number > 0 {
		p.owes = true
		if f.Number != p.have+1 {
			return // had before; or one is missing, and comes again with this one
		}
		p.have++
	}
	switch b := f.Body.(type) {
	case *wire.Beat:
		m.acknowledged(p, b.Have)
	case *wire.Routes:
		m.takeRoutes(p, b)
	case *wire.Seen:
		p.seen = max(p.seen, b.Routes)
		m.doDuties()
	case *wire.Run:
		m.takeRun(p, b)
	case *wire.Settled:
		m.takeSettled(p, b)
	case *wire.Release:
		m.takeRelease(p, b)
	case *wire.Released:
		m.takeReleased(b)
	case *wire.Taken:
		m.takeTaken(b)
	case *wire.Ask:
		m.takeAsk(p, b)
	case *wire.Flush:
		m.send(p, &wire.Flushed{Mark: b.Mark})
	case *wire.Flushed:
		m.takeFlushed(p, b)
	}
}
