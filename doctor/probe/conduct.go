package probe

import (
	"sync"

	"picket/doctor"
	"picket/packet"
)

// conduct looks at what passes on one connection for what no server may say. It lives as long as the connection; its packets come from the goroutines
// that write and read.
type conduct struct {
	version string
	clean   bool // a new session was asked for

	mu    sync.Mutex
	asked map[uint16]bool // identifiers of what was sent; kept, since some are answered twice
	wrong *doctor.Breach  // what came first; nil: nothing
}

func newConduct(c *packet.Connect) *conduct {
	return &conduct{version: versionName(c.Version), clean: c.CleanStart, asked: make(map[uint16]bool)}
}

// see takes a packet that is sent (out) or has come.
func (c *conduct) see(out bool, p packet.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p := p.(type) {
	case *packet.Subscribe:
		c.asked[p.ID] = true
	case *packet.Publish:
		if out {
			c.asked[p.ID] = true
		}
	case *packet.Connack:
		if c.clean && p.SessionPresent && !p.Code.Failed() {
			c.breaks(doctor.Breach{Version: c.version, Packet: "CONNACK"})
		}
	case *packet.Suback:
		c.answered("SUBACK", p.ID)
	case *packet.Ack:
		if !out && p.Kind != packet.PUBREL {
			c.answered(p.Kind.String(), p.ID)
		}
	}
}

// answered: an answer has the identifier of what it answers.
func (c *conduct) answered(kind string, id uint16) {
	if !c.asked[id] {
		c.breaks(doctor.Breach{Version: c.version, Packet: kind, ID: int(id)})
	}
}

func (c *conduct) breaks(b doctor.Breach) {
	if c.wrong == nil {
		c.wrong = &b
	}
}

// breach is what was seen first; nil: nothing.
func (c *conduct) breach() *doctor.Breach {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong
}
