//go:build !unix

package mosqconf

// mayBindPrivileged reports whether this process may listen on every port: there is no such privilege here.
func mayBindPrivileged(string) bool { return true }

// unreadableBy returns nothing: there are no Unix permissions here.
func unreadableBy(name, path string) string { return "" }
