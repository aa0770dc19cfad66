package local

import "os"

// lockHolder tells of the process that has a file locked; the system does not say which one that is.
func lockHolder(name string) string {
	if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
		_ = f.Close() // it was only tried
		return ""
	}
	return " "
}
