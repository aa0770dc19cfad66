package broker

import (
	"testing"
	"unsafe"
)

// TestIdleSizes holds what an idle client costs within classes of the allocator: one field too many costs every client the next larger class.
func TestIdleSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		return // they are smaller there
	}
	if n := unsafe.Sizeof(connection{}); n > 240 {
		t.Errorf("a connection takes %d bytes, more than its class of 240", n)
	}
	if n := unsafe.Sizeof(Session{}); n > 256 {
		t.Errorf("a session takes %d bytes, more than its class of 256", n)
	}
}
