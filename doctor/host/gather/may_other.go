//go:build !unix

package gather

import "os"

// may is not known on systems without Unix's modes.
func (r reader) may(string, os.FileInfo, os.FileMode) bool { return true }
