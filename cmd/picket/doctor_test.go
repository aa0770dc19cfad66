package main

import (
	"slices"
	"testing"
)

func TestDoctorWords(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"doctor", "--phone"}, []string{"doctor", "phone"}},
		{[]string{"doctor", "--phone", "h:1"}, []string{"doctor", "phone", "h:1"}},
		{[]string{"doctor", "--lang", "zh", "--phone"}, []string{"doctor", "phone", "--lang", "zh"}},
		{[]string{"doctor", "--server", "--from", "h"}, []string{"doctor", "server", "--from", "h"}},
		{[]string{"doctor", "--json", "--server"}, []string{"doctor", "server", "--json"}},
		{[]string{"doctor", "list"}, []string{"doctor", "list"}},
		{[]string{"doctor"}, []string{"doctor"}},
		{[]string{"pub", "--phone"}, []string{"pub", "--phone"}},
	} {
		if got := doctorWords(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.in, got)
		}
	}
}
