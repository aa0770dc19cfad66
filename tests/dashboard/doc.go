// Package dashboard tests the dashboard in a real browser, Debian's Chromium, against the program as it is built, with real clients.
package dashboard
