package session

import "math/bits"

// Inbox is the receiving half of a session: the QoS 2 packet identifiers that were received and not yet released
// (MQTT-4.3.3-2, method B of MQTT 3.1.1 figure 4.3: the message goes on at once, only its identifier is kept).
type Inbox struct {
	received *received // nil: most clients never publish at QoS 2
}

// received is a set of packet identifiers.
type received struct {
	pages [64]*[16]uint64 // 1,024 identifiers a page; pages appear with their first identifier
	n     int
}

// Len is the number of identifiers that wait for PUBREL.
func (i *Inbox) Len() int {
	if i.received == nil {
		return 0
	}
	return i.received.n
}

// Receive notes a QoS 2 PUBLISH and reports whether its identifier is new; one that is not is a repetition, to be acknowledged
// and not delivered again.
func (i *Inbox) Receive(id uint16) bool {
	if i.received == nil {
		i.received = new(received)
	}
	page := i.received.pages[id>>10]
	if page == nil {
		page = new([16]uint64)
		i.received.pages[id>>10] = page
	}
	word, bit := &page[id>>6&15], uint64(1)<<(id&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	i.received.n++
	return true
}

// Has reports whether the identifier was received and not released yet.
func (i *Inbox) Has(id uint16) bool {
	if i.received == nil {
		return false
	}
	page := i.received.pages[id>>10]
	return page != nil && page[id>>6&15]&(1<<(id&63)) != 0
}

// Release handles PUBREL and reports whether the identifier was known.
func (i *Inbox) Release(id uint16) bool {
	if !i.Has(id) {
		return false
	}
	i.received.pages[id>>10][id>>6&15] &^= 1 << (id & 63)
	if i.received.n--; i.received.n == 0 && id>>10 != 0 {
		i.received = nil // an idle client owns no pages beyond the first ones
	}
	return true
}

// IDs lists the identifiers that wait for PUBREL, ascending.
func (i *Inbox) IDs() []uint16 {
	if i.Len() == 0 {
		return nil
	}
	ids := make([]uint16, 0, i.Len())
	for p, page := range i.received.pages {
		if page == nil {
			continue
		}
		for w, word := range page {
			for ; word != 0; word &= word - 1 {
				ids = append(ids, uint16(p<<10|w<<6|bits.TrailingZeros64(word)))
			}
		}
	}
	return ids
}
