package testbed

import "testing"

// Port is [FreePort] for a test, which fails when there is none.
func Port(t testing.TB) int {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
