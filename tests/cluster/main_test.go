//go:build unix

package cluster

import (
	"os"
	"testing"

	"picket/internal/testbed"
)

func TestMain(m *testing.M) {
	testbed.SideBySide(6)
	os.Exit(m.Run())
}
