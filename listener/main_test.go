package listener

import (
	"fmt"
	"os"
	"testing"
	"time"

	"picket/internal/testbed"
)

// patience is how long a test waits for what has to come; only a failing test waits so long. A machine that tests many packages at once can stand
// still for many seconds.
const patience = 2 * time.Minute

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
	testbed.SideBySide(8)
	testbed.Main(m)
}
