//go:build !unix

package mosqconf

// mayBindPrivileged reports whether this process may listen on every port: there is no such privilege here.
func mayBindPrivileged(string) bool { return true }
