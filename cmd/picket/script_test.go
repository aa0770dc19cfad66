package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run the test binary as picket.
func TestMain(m *testing.M) {
	names := map[string]func(){"picket": main}
	for name := range programs {
		names[name] = main
	}
	testscript.Main(m, names)
}

// TestScripts runs every script in testdata/script: commands as a user types them, and what they must answer.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true})
}
