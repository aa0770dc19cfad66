package main

import "testing"

// A broker that root has started reads its configuration again as the user that it has become.
func TestDataDirectoryStays(t *testing.T) {
	s := new(serveCommand)
	home := func(name string) string {
		if name == "HOME" {
			return "/home/fountain"
		}
		return ""
	}
	if err := s.chooseData(home, 0); err != nil {
		t.Fatal(err)
	}
	atStart := s.Data
	if err := s.chooseData(home, 1000); err != nil {
		t.Fatal(err)
	}
	if atStart == "" || s.Data != atStart {
		t.Errorf("the data directory was %q and is %q at a reload", atStart, s.Data)
	}
}
