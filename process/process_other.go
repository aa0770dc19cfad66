//go:build !unix

package process

import (
	"errors"
	"math"
	"os"
)

// RaiseFileLimit has nothing to raise here.
func RaiseFileLimit() (limit uint64, err error) { return math.MaxUint64, nil }

// IsRoot is false: this system knows no root.
func IsRoot() bool { return false }

// Own fails: files belong to whoever runs the program.
func (*User) Own(string, ...string) error {
	return errors.New("giving files away is not possible on this system")
}

// ownerID is unknown: the owners of this system have no numbers.
func ownerID(os.FileInfo) (uid int, known bool) { return 0, false }

// Become fails: this system cannot change a process' user.
func Become(*User) error { return errors.New("changing the user is not possible on this system") }

// Signals delivers nothing: this system has no signals to ask by.
type Signals struct{}

// Watch delivers nothing.
func Watch(func(Request)) *Signals { return new(Signals) }

// Poll does nothing.
func (*Signals) Poll() {}

// Stop does nothing.
func (*Signals) Stop() {}

// Background fails: this system cannot do it.
func Background() (status int, err error) {
	return 1, errors.New("going to the background is not possible on this system; run picket as a service instead")
}

// InBackground is always false.
func InBackground() bool { return false }

// Ready does nothing.
func Ready() error { return nil }
