package session

import "sort"

// queue is what waits in memory: a ring of deliveries, ordered by sequence number.
type queue struct {
	ring  []Delivery
	head  int
	n     int
	bytes int // of payloads

	held, heldBytes int // those of them that are held

	// The budget's counters are shared by all goroutines, so what many messages cost is counted there at once: see [queue.balance].
	budget  *Budget
	credit  int64 // bytes that count in the budget and that no message has
	entries int64 // entries that do not count in the budget yet, or, below 0, still do
}

// hold holds a message for an entry, or reports false where there is no room for it.
func (q *queue) hold(m *Message) bool {
	if m.held.Add(1) == 1 && !q.pay(int64(m.Size())) {
		if m.held.Add(-1) > 0 { // another queue has come by meanwhile, and counts on it
			q.credit -= int64(m.Size())
		}
		return false
	}
	q.entries++
	return true
}

// force holds a message whatever the limit says.
func (q *queue) force(m *Message) {
	if m.held.Add(1) == 1 {
		q.credit -= int64(m.Size())
	}
	q.entries++
}

// pay takes n bytes of the credit, or else of the budget.
func (q *queue) pay(n int64) bool {
	if q.credit < n {
		return q.budget.take(n)
	}
	q.credit -= n
	return true
}

func (q *queue) release(m *Message) {
	if m.held.Add(-1) == 0 {
		q.credit += int64(m.Size())
	}
	q.entries--
}

// balance has the budget count what the queue holds, neither more nor less.
func (q *queue) balance() {
	if q.credit != 0 {
		q.budget.count(-q.credit)
		q.credit = 0
	}
	if q.entries != 0 {
		q.budget.refs.Add(q.entries)
		q.entries = 0
	}
}

func (q *queue) at(i int) *Delivery { return &q.ring[(q.head+i)%len(q.ring)] }

// push appends a delivery that the budget has accepted.
func (q *queue) push(d Delivery) {
	q.reserve(1)
	q.ring[(q.head+q.n)%len(q.ring)] = d
	q.n++
	q.bytes += d.size()
	if d.Held {
		q.held++
		q.heldBytes += d.size()
	}
}

// settle lets the delivery at a place go.
func (q *queue) settle(i int) {
	if d := q.at(i); d.Held {
		d.Held = false
		q.held--
		q.heldBytes -= d.size()
	}
}

// pushFront puts deliveries, in their order, before all others. They count against the budget even where they do not fit: they were there before.
func (q *queue) pushFront(ds []Delivery) {
	if len(ds) == 0 {
		return
	}
	q.reserve(len(ds))
	q.head = (q.head - len(ds) + len(q.ring)) % len(q.ring)
	q.n += len(ds)
	for i, d := range ds {
		*q.at(i) = d
		q.bytes += d.size()
		if d.Message != nil {
			q.force(d.Message)
		}
	}
}

func (q *queue) reserve(n int) {
	if q.n+n <= len(q.ring) {
		return
	}
	size := max(4, 2*len(q.ring))
	for size < q.n+n {
		size *= 2
	}
	ring := make([]Delivery, size)
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}

func (q *queue) pop() {
	q.settle(0)
	d := q.at(0)
	q.bytes -= d.size()
	if d.Message != nil {
		q.release(d.Message)
	}
	*d = Delivery{}
	q.head = (q.head + 1) % len(q.ring)
	if q.n--; q.n == 0 && len(q.ring) > 64 {
		q.ring, q.head = nil, 0
	}
}

// find returns the place of a sequence number, or -1.
func (q *queue) find(seq uint64) int {
	i := sort.Search(q.n, func(i int) bool { return q.at(i).Seq >= seq })
	if i < q.n && q.at(i).Seq == seq {
		return i
	}
	return -1
}

// remove takes out the delivery at a place.
func (q *queue) remove(i int) {
	for ; i > 0; i-- {
		*q.at(i), *q.at(i - 1) = *q.at(i - 1), *q.at(i)
	}
	q.pop()
}

func (q *queue) clear() {
	for q.n > 0 {
		q.pop()
	}
	q.balance()
}
