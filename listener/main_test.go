package listener

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// child is what the test's program does instead of testing, if the environment says so.
var child func() (ran bool, err error)

// TestMain checks that no goroutine is left when all sets are closed.
func TestMain(m *testing.M) {
	if child != nil {
		if ran, err := child(); ran {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	goleak.VerifyTestMain(m)
}
