package gather

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// accessList is one in the kernel's form.
func accessList(entries ...[3]uint32) []byte {
	list := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		list = binary.LittleEndian.AppendUint16(list, uint16(e[0]))
		list = binary.LittleEndian.AppendUint16(list, uint16(e[1]))
		list = binary.LittleEndian.AppendUint32(list, e[2])
	}
	return list
}

func TestAccessLists(t *testing.T) {
	const none = 0xffffffff
	mode := [][3]uint32{{aclUser, 6, none}, {aclGroup, 0, none}, {aclOther, 0, none}}
	with := func(more ...[3]uint32) []byte { return accessList(append(more, mode...)...) }
	someone := reader{name: "mosquitto", uid: 103, gids: []int{106}}
	for name, c := range map[string]struct {
		list       []byte
		may, known bool
	}{
		"a user by name":                  {with([3]uint32{aclUsers, 4, 103}, [3]uint32{aclMask, 4, none}), true, true},
		"a user by name, and the mask":    {with([3]uint32{aclUsers, 4, 103}, [3]uint32{aclMask, 0, none}), false, true},
		"another user":                    {with([3]uint32{aclUsers, 4, 104}, [3]uint32{aclMask, 4, none}), false, true},
		"a group by name":                 {with([3]uint32{aclGroups, 4, 106}, [3]uint32{aclMask, 7, none}), true, true},
		"a user who is denied by name":    {with([3]uint32{aclUsers, 0, 103}, [3]uint32{aclGroups, 4, 106}, [3]uint32{aclMask, 7, none}), false, true},
		"no entry, and others may":        {accessList([3]uint32{aclUser, 6, none}, [3]uint32{aclGroup, 0, none}, [3]uint32{aclOther, 4, none}), true, true},
		"cut short":                       {with()[:9], false, false},
		"another version":                 {append([]byte{9, 0, 0, 0}, with()[4:]...), false, false},
		"nothing":                         {nil, false, false},
		"the version alone, denies all":   {accessList(), false, true},
		"a user by name, mask comes late": {accessList([3]uint32{aclUsers, 7, 103}, [3]uint32{aclOther, 0, none}, [3]uint32{aclMask, 4, none}), true, true},
	} {
		if may, known := someone.allowed(c.list, 0, 0, 0o4); may != c.may || known != c.known {
			t.Errorf("%s: may %t, known %t", name, may, known)
		}
	}
	if may, known := (reader{uid: 0, gids: []int{0}}).allowed(with(), 0, 0, 0o4); !may || !known {
		t.Error("the owner's own entry does not count")
	}
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setxattr(file, "system.posix_acl_access", accessList([3]uint32{aclUser, 6, none}, [3]uint32{aclUsers, 4, 103}, [3]uint32{aclGroup, 0, none}, [3]uint32{aclMask, 4, none}, [3]uint32{aclOther, 0, none}), 0); err != nil {
		t.Skipf("this file system has no access lists: %v", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if !someone.may(file, info, 0o4) || someone.may(file, info, 0o2) {
		t.Error("the list of the file does not count")
	}
}
