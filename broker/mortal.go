package broker

import "container/heap"

// mortals are places of retained messages that expire, ordered as [container/heap] wants it: the message that expires first is at the top. A place is among them once, however
// often its message is replaced.
type mortals []mortal

// mortal is one of them.
type mortal struct {
	place   *place
	expires int64 // of its message, in Unix seconds
}

// note takes a place in, moves it, or lets it go, as its message is now. What guards the places guards this.
func (h *mortals) note(p *place) {
	m := p.message.Load()
	expires := m != nil && m.Expires != 0
	switch {
	case expires && p.mortal == 0:
		heap.Push(h, mortal{p, m.Expires})
	case expires:
		(*h)[p.mortal-1].expires = m.Expires
		heap.Fix(h, p.mortal-1)
	case p.mortal > 0:
		heap.Remove(h, p.mortal-1)
	}
}

func (h mortals) Len() int           { return len(h) }
func (h mortals) Less(i, j int) bool { return h[i].expires < h[j].expires }

func (h mortals) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place.mortal, h[j].place.mortal = i+1, j+1
}

// Push is heap's.
func (h *mortals) Push(x any) {
	m := x.(mortal)
	*h = append(*h, m)
	m.place.mortal = len(*h)
}

// Pop is heap's.
func (h *mortals) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = mortal{}
	*h = (*h)[:last]
	m.place.mortal = 0
	return m
}
