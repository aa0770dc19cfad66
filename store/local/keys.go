package local

import (
	"encoding/binary"
)

// The first byte of a key says what the record is. docs/storage.md describes them all. Numbers are 8 bytes, big endian, so that keys sort as
// what they stand for does.
const (
	keyBody         = 'b' // message number → message
	keyExpiry       = 'e' // Unix seconds (4), what expires: its key → nothing
	keyGroup        = 'g' // → number of the last group of batches
	keyReceived     = 'i' // session, packet identifier (2) → nothing
	keyPiece        = 'p' // message number, number of the piece from 0 on (4) → a piece of the payload
	keyEntry        = 'q' // session, sequence number → entry of the queue
	keyRetained     = 'r' // topic name → message, or its number
	keySession      = 's' // session → its record
	keySubscription = 'u' // session, topic filter → its options
	keyFormat       = 'v' // → version of the format
)

// Formats of the store, as the record v names them: that which a store is made in, and that from its first payload in pieces on.
const (
	formatFirst  = 1
	formatApart  = 2
	formatNewest = formatApart
)

var (
	groupKey  = []byte{keyGroup}
	formatKey = []byte{keyFormat}
)

func numberKey(dst []byte, kind byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, kind), number)
}

func bodyKey(dst []byte, number uint64) []byte { return numberKey(dst, keyBody, number) }

func pieceKey(dst []byte, message uint64, piece uint32) []byte {
	return binary.BigEndian.AppendUint32(numberKey(dst, keyPiece, message), piece)
}

func sessionKey(dst []byte, session uint64) []byte { return numberKey(dst, keySession, session) }

func entryKey(dst []byte, session, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(dst, keyEntry, session), seq)
}

func receivedKey(dst []byte, session uint64, id uint16) []byte {
	return binary.BigEndian.AppendUint16(numberKey(dst, keyReceived, session), id)
}

func subscriptionKey(dst []byte, session uint64, filter string) []byte {
	return append(numberKey(dst, keySubscription, session), filter...)
}

func retainedKey(dst []byte, topic string) []byte { return append(append(dst, keyRetained), topic...) }

// expiryKey is for what has the key of.
func expiryKey(dst []byte, second uint32, of []byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(dst, keyExpiry), second), of...)
}

// entryKeySize and the like are the lengths of keys of fixed length.
const (
	sessionKeySize  = 9
	bodyKeySize     = 9
	receivedKeySize = 11
	pieceKeySize    = 13
	entryKeySize    = 17
	expiryHead      = 5
)

// number is the 8 bytes of a key after its first.
func number(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

// sequence is the sequence number of an entry's key.
func sequence(key []byte) uint64 { return binary.BigEndian.Uint64(key[sessionKeySize:]) }

// pieceNumber is the number in the key of a piece.
func pieceNumber(key []byte) uint32 { return binary.BigEndian.Uint32(key[bodyKeySize:]) }

// wellFormed tells whether a key has the form that its first byte asks for.
func wellFormed(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	switch key[0] {
	case keyBody, keySession:
		return len(key) == sessionKeySize
	case keyEntry:
		return len(key) == entryKeySize
	case keyPiece:
		return len(key) == pieceKeySize
	case keyReceived:
		return len(key) == receivedKeySize
	case keySubscription:
		return len(key) > sessionKeySize
	case keyRetained:
		return len(key) > 1
	case keyGroup, keyFormat:
		return len(key) == 1
	case keyExpiry:
		return len(key) > expiryHead && (key[expiryHead] == keyEntry || key[expiryHead] == keyRetained) && wellFormed(key[expiryHead:])
	}
	return false
}
