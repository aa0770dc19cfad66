package session

import "sort"

// queue is what waits in memory: a ring of deliveries, ordered by sequence number.
type queue struct {
	ring   []Delivery
	head   int
	n      int
	bytes  int // of payloads
	budget *Budget

	held, heldBytes int // those of them that are held
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
			q.budget.force(d.Message)
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
		q.budget.release(d.Message)
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
}
