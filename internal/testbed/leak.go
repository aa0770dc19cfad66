package testbed

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests for TestMain, and fails when they leave a goroutine behind. Those that are about to end have the time that a busy machine
// needs for it.
func Main(m *testing.M, options ...goleak.Option) {
	status := m.Run()
	if status == 0 {
		if err := await(func() error { return goleak.Find(options...) }); err != nil {
			fmt.Fprintf(os.Stderr, "goroutines are left when all tests have ended: %v\n", err)
			status = 1
		}
	}
	os.Exit(status)
}
