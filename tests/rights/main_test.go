//go:build unix

package rights

import (
	"os"
	"testing"

	"picket/internal/testbed"
)

func TestMain(m *testing.M) {
	testbed.SideBySide(6)
	os.Exit(m.Run())
}
