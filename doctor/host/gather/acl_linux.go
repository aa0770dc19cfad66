package gather

import (
	"encoding/binary"
	"os"
	"slices"
	"syscall"
)

// listed says what the access list of a file (setfacl, acl(5)) lets the reader do; known is false where it has none, and the mode alone counts.
func (r reader) listed(path string, owner, group int, bit os.FileMode) (may, known bool) {
	data := make([]byte, 4096)
	n, err := syscall.Getxattr(path, "system.posix_acl_access", data)
	if err != nil {
		return false, false
	}
	return r.allowed(data[:n], owner, group, bit)
}

// Entries of an access list (posix_acl_xattr.h of the kernel): tag, permissions and id, after a version.
const (
	aclVersion = 2
	aclUser    = 0x01 // the owner
	aclUsers   = 0x02
	aclGroup   = 0x04
	aclGroups  = 0x08
	aclMask    = 0x10
	aclOther   = 0x20
)

// allowed reads an access list as the kernel does: the owner, then users by name, then groups, of which one that allows it is enough, then all others.
// What users and groups are given counts as far as the mask goes.
func (r reader) allowed(list []byte, owner, group int, bit os.FileMode) (may, known bool) {
	if len(list) < 4 || binary.LittleEndian.Uint32(list) != aclVersion || (len(list)-4)%8 != 0 {
		return false, false
	}
	mask, other, inGroup, byGroup := uint16(7), uint16(0), false, false
	var user *uint16
	for e := list[4:]; len(e) > 0; e = e[8:] {
		if binary.LittleEndian.Uint16(e) == aclMask {
			mask = binary.LittleEndian.Uint16(e[2:])
		}
	}
	for e := list[4:]; len(e) > 0; e = e[8:] {
		tag, perm, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), int(binary.LittleEndian.Uint32(e[4:]))
		switch {
		case tag == aclUser && owner == r.uid:
			return perm&uint16(bit) != 0, true
		case tag == aclUsers && id == r.uid:
			given := perm & mask
			user = &given
		case tag == aclGroups && slices.Contains(r.gids, id), tag == aclGroup && slices.Contains(r.gids, group):
			inGroup = true
			byGroup = byGroup || perm&mask&uint16(bit) != 0
		case tag == aclOther:
			other = perm
		}
	}
	switch {
	case user != nil:
		return *user&uint16(bit) != 0, true
	case inGroup:
		return byGroup, true
	}
	return other&uint16(bit) != 0, true
}
