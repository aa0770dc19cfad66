package local

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"picket/session"
	"picket/store"
)

// A long payload lies apart from its message, in pieces. Neither Pebble, which copies a value more than once on its way to a table, nor anything here copies
// more than a piece at a time then: Go cannot interrupt a copy, its garbage collector has to wait for the end of it, and everything else waits for that, which
// are seconds with a payload of 255 MiB.
//
// Pieces are written before the group that refers to their message, each in a batch of its own that belongs to no group. Until that group is there they mean
// nothing, and those that are left behind without one are removed when the store is opened.

// pieceDefault is the length of a piece in bytes.
const pieceDefault = 1 << 20

// writePieces writes the payload of a message ahead of the group, and returns how many pieces it has.
func (c *changes) writePieces(m *session.Message) (pieces uint32) {
	for piece := range slices.Chunk(m.Payload, c.piece) {
		out := c.engine.db.NewBatch()
		if err := out.Set(pieceKey(nil, m.ID, pieces), piece, nil); err != nil {
			c.note(err)
			return pieces
		}
		if err := c.engine.apply(out, false); err != nil {
			c.note(err) // and the engine, which has been given up, may still have the batch
			return pieces
		}
		_ = out.Close() // it gives memory back
		pieces++
	}
	return pieces
}

// decodeBody reads a message that lies outside of the queues: its record, and its payload if that lies apart.
func decodeBody(r pebble.Reader, record []byte, id uint64) (*session.Message, error) {
	m, apart, err := store.DecodeBodyApart(record, id)
	if err != nil || apart == 0 {
		return m, err
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: pieceKey(nil, id, 0), UpperBound: numberKey(nil, keyPiece, id+1)})
	if err != nil {
		return nil, err
	}
	pieces := uint32(0)
	m.Payload = make([]byte, 0, apart)
	for it.First(); it.Valid(); it.Next() {
		piece, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if pieceNumber(it.Key()) != pieces || len(piece) > apart-len(m.Payload) {
			break
		}
		m.Payload = append(m.Payload, piece...)
		pieces++
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	if len(m.Payload) < apart {
		return nil, fmt.Errorf("%w: of the payload of message %d, %d of %d bytes are there", errDamage, id, len(m.Payload), apart)
	}
	return m, nil
}

// eachPieced calls do with every message of which there are pieces, and their number. Of their contents little is read.
func eachPieced(r pebble.Reader, do func(id uint64, pieces uint32)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{keyPiece}, UpperBound: []byte{keyPiece + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		if !wellFormed(it.Key()) {
			continue
		}
		id := number(it.Key())
		if !it.SeekLT(numberKey(nil, keyPiece, id+1)) || number(it.Key()) != id {
			break // damage: Close tells
		}
		do(id, pieceNumber(it.Key())+1)
	}
	return it.Close()
}
