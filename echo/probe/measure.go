package probe

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// wire is the client's socket for datagrams.
type wire struct {
	conn     *net.UDPConn
	id       uint64
	overhead int  // bytes of the IP and UDP headers
	whole    bool // the system lets us forbid fragments
	next     uint32

	done  sync.WaitGroup
	mu    sync.Mutex
	back  seen         // answers that came
	sizes map[int]bool // of datagrams that were asked for, that came
	told  bool         // a router said that a packet was too large
	news  chan struct{}
}

// openWire gets a socket that datagrams of this session can be sent on.
func (c *Client) openWire() (*wire, error) {
	if c.wire != nil {
		return c.wire, nil
	}
	c.patient(askLimit)
	body, err := c.ask(openUDP, nil)
	if err != nil {
		return nil, c.failure(err)
	}
	if len(body) != 8 {
		return nil, nil // the server has no UDP
	}
	server := c.conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: c.conn.LocalAddr().(*net.TCPAddr).IP, Zone: c.conn.LocalAddr().(*net.TCPAddr).Zone}, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, nil //nolint:nilerr // this machine has no UDP to that address
	}
	w := &wire{conn: conn, id: binary.BigEndian.Uint64(body), overhead: 28, sizes: make(map[int]bool), news: make(chan struct{}, 1)}
	if server.Addr().Unmap().Is6() {
		w.overhead = 48
	}
	w.whole = forbidFragments(conn)
	w.done.Go(func() { w.receive(c.codec.key) })
	c.wire = w
	return w, nil
}

func (w *wire) close() {
	w.conn.Close()
	w.done.Wait()
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

func (w *wire) receive(key []byte) {
	buffer := make([]byte, maxDatagram+1)
	for {
		n, err := w.conn.Read(buffer)
		if isClosed(err) {
			return
		}
		w.mu.Lock()
		if err != nil {
			w.told = w.told || tooBig(err)
		} else if d, ok := parseDatagram(buffer[:n], key, fromServer); ok && d.id == w.id {
			if d.purpose == down {
				w.sizes[n] = true
			} else {
				w.back.add(d.number)
			}
		}
		w.mu.Unlock()
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// send sends one datagram of n bytes and gives its number. local is true when it is larger than this machine's own network card takes.
func (w *wire) send(key []byte, p purpose, n int) (number uint32, local bool) {
	number = w.next
	w.next++
	b := appendDatagram(nil, key, fromClient, datagram{w.id, number, p}, n)
	_, err := w.conn.Write(b)
	if err != nil { // of an earlier one, by ICMP; once told, it is gone
		w.mu.Lock()
		w.told = w.told || tooBig(err)
		w.mu.Unlock()
		if _, err = w.conn.Write(b); tooBig(err) {
			return number, true
		}
	}
	return number, false
}

// await waits until all is there or the limit has passed.
func (w *wire) await(limit time.Duration, all func() bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		w.mu.Lock()
		done := all()
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-w.news:
		case <-timer.C:
			return
		}
	}
}

// Loss is what got lost of datagrams of 100 bytes, sent one by one.
type Loss struct {
	Sent int
	Out  int  // lost on the way to the server
	Back int  // lost on the way back, of those that arrived there
	UDP  bool // false: not a single one arrived, so that UDP is blocked; the others say nothing then
}

// OutPercent is the loss on the way to the server.
func (l Loss) OutPercent() float64 { return share(l.Out, l.Sent) }

// BackPercent is the loss on the way from the server.
func (l Loss) BackPercent() float64 { return share(l.Back, l.Sent-l.Out) }

const (
	lossCount = 100
	lossSize  = 100
	lossPace  = 4 * time.Millisecond // a burst would measure the queues on the way instead

	// lastWait is how long after the last datagram its answer may take: as slow as a way can be and still be one.
	lastWait = 1500 * time.Millisecond
)

// Loss measures loss in both directions, with UDP. The server counts what arrives, so that the directions can be told apart.
func (c *Client) Loss() (Loss, error) {
	w, err := c.openWire()
	if err != nil || w == nil {
		return Loss{}, err
	}
	var numbers []uint32
	pace := time.NewTicker(lossPace)
	defer pace.Stop()
	for range lossCount {
		n, _ := w.send(c.codec.key, loss, lossSize)
		numbers = append(numbers, n)
		<-pace.C
	}
	came := func() (n int) {
		for _, number := range numbers {
			if w.back.has(number) {
				n++
			}
		}
		return n
	}
	w.await(lastWait, func() bool { return came() == lossCount })
	arrived, err := c.arrived()
	if err != nil {
		return Loss{}, err
	}
	l := Loss{Sent: lossCount}
	there := 0
	for _, number := range numbers {
		if arrived.has(number) {
			there++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Out, l.Back, l.UDP = lossCount-there, there-came(), there > 0
	return l, nil
}

// arrived asks which datagrams the server has seen.
func (c *Client) arrived() (seen, error) {
	c.patient(askLimit)
	body, err := c.ask(statsUDP, nil)
	if err != nil {
		return seen{}, c.failure(err)
	}
	s, err := parseSeen(body)
	if err != nil {
		return seen{}, c.failure(err)
	}
	return s, nil
}

// MTU is the largest IP packet that passes in one piece.
type MTU struct {
	Out, Back int  // bytes; 0: not measured, or less than the least that was tried
	Whole     bool // false: this system does not let a program forbid fragments, or UDP is blocked; nothing was measured

	// Told says, of the way out, that a router answered to packets that are too large, as it should. When it is false and Out is less than
	// 1500, larger packets disappear without a word.
	Told bool
	// Local says that Out is what this machine's own network card allows.
	Local bool
}

// What is tried: from the least that every network must carry to what Ethernet carries.
const (
	least4, least6 = 576, 1280
	largest        = 1500
	sizesPerRound  = 12
	copies         = 3 // of each size, so that loss is not taken for a limit
)

// sizeWait is how long a round waits for what has not come. Loss and slowness are covered by the copies.
const sizeWait = 800 * time.Millisecond

// PathMTU measures the largest packet in each direction: UDP datagrams of several sizes at once, whose fragmentation is forbidden,
// then of sizes between the largest that passed and the smallest that did not.
func (c *Client) PathMTU() (MTU, error) {
	w, err := c.openWire()
	if err != nil || w == nil || !w.whole {
		return MTU{}, err
	}
	least := least4
	if w.overhead == 48 {
		least = least6
	}
	m := MTU{Whole: true}
	m.Out, err = search(least, largest, func(sizes []int) (int, error) { return c.tryOut(w, sizes, &m) })
	if err != nil {
		return MTU{}, err
	}
	if m.Out == 0 { // not even the smallest
		return MTU{}, nil
	}
	m.Back, err = search(least, largest, func(sizes []int) (int, error) { return c.tryBack(w, sizes) })
	w.mu.Lock()
	m.Told = w.told
	w.mu.Unlock()
	return m, err
}

// search finds the largest size between least and most that passes. try gives the largest of those that it tried and that passed, or 0.
func search(least, most int, try func(sizes []int) (int, error)) (int, error) {
	passed, failed := 0, most+1 // passed: the largest known to pass
	for low := least; low < failed; low = passed + 1 {
		var sizes []int
		for i := range sizesPerRound { // evenly, the ends included
			n := low
			if sizesPerRound > 1 {
				n += (failed - 1 - low) * i / (sizesPerRound - 1)
			}
			if len(sizes) == 0 || sizes[len(sizes)-1] != n {
				sizes = append(sizes, n)
			}
		}
		got, err := try(sizes)
		if err != nil {
			return 0, err
		}
		if got == 0 && passed == 0 {
			return 0, nil
		}
		for _, n := range sizes {
			if n <= got {
				passed = max(passed, n)
			} else {
				failed = min(failed, n)
			}
		}
	}
	return passed, nil
}

func (c *Client) tryOut(w *wire, sizes []int, m *MTU) (int, error) {
	numbers := make(map[int][]uint32)
	top := sizes[len(sizes)-1]
	for range copies {
		for _, n := range sizes {
			number, local := w.send(c.codec.key, size, n-w.overhead)
			if local {
				m.Local = true
				continue
			}
			numbers[n] = append(numbers[n], number)
		}
	}
	came := func(s *seen, n int) bool {
		for _, number := range numbers[n] {
			if s.has(number) {
				return true
			}
		}
		return false
	}
	w.await(sizeWait, func() bool { return came(&w.back, top) })
	arrived, err := c.arrived()
	if err != nil {
		return 0, err
	}
	for i := len(sizes) - 1; i >= 0; i-- {
		if came(&arrived, sizes[i]) {
			return sizes[i], nil
		}
	}
	return 0, nil
}

func (c *Client) tryBack(w *wire, sizes []int) (int, error) {
	var payloads []uint16
	for range copies {
		for _, n := range sizes {
			payloads = append(payloads, uint16(n-w.overhead))
		}
	}
	c.patient(askLimit)
	if _, err := c.ask(sendUDP, appendPorts(nil, payloads)); err != nil {
		return 0, c.failure(err)
	}
	top := sizes[len(sizes)-1]
	w.await(sizeWait, func() bool { return w.sizes[top-w.overhead] })
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(sizes) - 1; i >= 0; i-- {
		if w.sizes[sizes[i]-w.overhead] {
			return sizes[i], nil
		}
	}
	return 0, nil
}
