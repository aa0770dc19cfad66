package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"sync"
	"time"

	"picket/cluster/machine"
)

// makeKey makes a key with a certificate for it, which is trusted for its fingerprint alone: its names and times say nothing.
func makeKey(name string) (c tls.Certificate, fingerprint string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return c, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, fingerprintOf(der), nil
}

func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// same compares fingerprints in a time that does not tell where they differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// known are the fingerprints of the nodes that live, as they stand in Redis.
type known struct {
	mu      sync.Mutex
	rows    []machine.Row
	changed chan struct{} // closed when the rows have been read again
}

func (k *known) init() { k.changed = make(chan struct{}) }

func (k *known) set(rows []machine.Row) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows = rows
	close(k.changed)
	k.changed = make(chan struct{})
}

// find looks for a fingerprint. If it is not known, again is closed when the rows have been read once more.
func (k *known) find(fingerprint string) (row machine.Row, ok bool, again <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.rows {
		if !r.Dead && same(r.Fingerprint, fingerprint) {
			row, ok = r, true
		}
	}
	return row, ok, k.changed
}
