package testbed

import (
	"flag"
	"strconv"
	"testing"
	"time"
)

// Patience is how long anything may take before a test fails. It says only when to give up.
const Patience = time.Minute

// interval is how often a condition is looked at.
const interval = 10 * time.Millisecond

// Eventually waits until a condition holds. The error says what does not hold yet.
func Eventually(t testing.TB, condition func() error) {
	t.Helper()
	if err := await(condition); err != nil {
		t.Fatal(err)
	}
}

func await(condition func() error) error {
	for end := time.Now().Add(Patience); ; time.Sleep(interval) {
		err := condition()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// SideBySide has so many tests of a package run at once that say that they may, unless the command line has its own idea (-parallel). It is called by
// TestMain, and meant for tests that wait more than they work.
func SideBySide(n int) {
	if !flag.Parsed() {
		flag.Parse()
	}
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(n)); err != nil {
			panic(err)
		}
	}
}
