// Package page tests the phone's page in a real browser, Debian's Chromium, at the size of a phone, against the program as it is
// built: every way in which the page can end, in both languages. PAGE_SHOTS=DIR keeps a picture of each.
package page
