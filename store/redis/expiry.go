package redis

import (
	"container/heap"
	"context"
	"sync"

	"picket/store"
)

// expiries is the index of what expires. It is in memory: only the owner looks at it, and finds it again when it reads the queues at its start.
type expiries struct {
	mu    sync.Mutex
	heap  expiryHeap
	known map[expiryKey]*expiring
}

// expiryKey names an entry of a queue, or the retained message of a topic.
type expiryKey struct {
	session uint64
	seq     uint64
	topic   string
}

type expiring struct {
	store.Expired
	gone bool
}

type expiryHeap []*expiring

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Ref.Expires < h[j].Ref.Expires }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

func (h *expiryHeap) Push(x any) { *h = append(*h, x.(*expiring)) }

func (h *expiryHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}

func keyOf(e *store.Expired) expiryKey {
	if e.Session == nil {
		return expiryKey{topic: e.Topic}
	}
	return expiryKey{session: e.Session.Number, seq: e.Ref.Seq}
}

func (x *expiries) add(e store.Expired) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known == nil {
		x.known = make(map[expiryKey]*expiring)
	}
	x.forget(keyOf(&e))
	item := &expiring{Expired: e}
	x.known[keyOf(&e)] = item
	heap.Push(&x.heap, item)
}

// forget takes one out. x.mu is held.
func (x *expiries) forget(k expiryKey) {
	if item := x.known[k]; item != nil {
		item.gone = true
		delete(x.known, k)
	}
}

// note follows an operation that has been written.
func (x *expiries) note(op *store.Op) {
	switch op.Kind {
	case store.Enqueue:
		if op.Ref.Expires != 0 && op.Delivery.Message != nil {
			x.add(store.Expired{Session: op.Session, Ref: op.Ref, Bytes: len(op.Delivery.Message.Payload)})
		}
		return
	case store.Retain:
		if expires := store.Seconds(op.Message.Expires); expires != 0 {
			x.add(store.Expired{Topic: op.Message.Topic, Ref: store.Ref{Expires: expires}, Bytes: len(op.Message.Payload)})
			return
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch op.Kind {
	case store.Release, store.Remove, store.Keep:
		x.forget(expiryKey{session: op.Session.Number, seq: op.Ref.Seq})
	case store.Retain:
		x.forget(expiryKey{topic: op.Message.Topic})
	case store.Unretain:
		x.forget(expiryKey{topic: op.Old.Topic})
	}
}

func (s *Store) Expired(ctx context.Context, now int64, n int) (all []store.Expired, err error) {
	x := &s.expiries
	x.mu.Lock()
	defer x.mu.Unlock()
	var again []*expiring
	for len(x.heap) > 0 && len(all) < n && int64(x.heap[0].Ref.Expires) <= now {
		item := heap.Pop(&x.heap).(*expiring)
		switch {
		case item.gone:
			continue
		case item.Session != nil && item.Session.Over():
			delete(x.known, keyOf(&item.Expired))
			continue
		}
		again = append(again, item)
		if item.Session == nil || !item.Session.Under(item.Ref.Seq) {
			all = append(all, item.Expired)
		}
	}
	for _, item := range again {
		heap.Push(&x.heap, item)
	}
	return all, ctx.Err()
}
