package main

import (
	"bytes"
	"errors"
	commandline "flag" // flag is a type here
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"picket/internal/testbed"
)

// TestMain lets the scripts run the test binary as picket, and as the programs that it stands in for.
func TestMain(m *testing.M) {
	names := map[string]func(){"picket": main}
	for name := range programs {
		names[name] = main
	}
	testscript.Main(m, names)
}

var updateScripts = commandline.Bool("update", false, "write what commands print into the scripts that compare it with a file")

// TestScripts runs every script in testdata/script: commands as a user types them, and what they must answer.
//
// Beside testscript's own commands there are
//
//	ports NAME...         set the variables to free TCP ports
//	await PORT            wait until something listens on the port
//	retry COMMAND...      run the command until it succeeds
//	exits N COMMAND...    run the command, which must end with this exit status, or with one of several: 7|8
//	expand FILE           replace the variables in the file
//	signal NAME FILE      send the signal to the process whose id is in the file
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *updateScripts,
		Setup: func(e *testscript.Env) error {
			sample, err := filepath.Abs("../../store/mosqdb/testdata/1.6.9.db")
			if err != nil {
				return err
			}
			e.Vars = append(e.Vars, "MOSQUITTO_DB="+sample)
			e.Vars = append(e.Vars, "XDG_CONFIG_HOME="+e.WorkDir+"/config", "LANG=C.UTF-8", "TZ=UTC")
			e.Vars = append(e.Vars, "PICKET_RUNTIME_DIR="+e.WorkDir+"/.run") // no other broker is found
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ports": freePorts, "await": await, "retry": retry, "signal": signalProcess, "exits": exits, "expand": expand,
		},
	})
}

// patience bounds every wait of a script.
const patience = time.Minute

func freePorts(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		port, err := testbed.FreePort()
		ts.Check(err)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	until(ts, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+args[0])
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func retry(ts *testscript.TestScript, neg bool, args []string) {
	until(ts, func() error { return ts.Exec(args[0], args[1:]...) })
}

func until(ts *testscript.TestScript, try func() error) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("it never happened: %v", err)
		}
	}
}

func signalProcess(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(exec.Command("kill", "-"+args[0], string(bytes.TrimSpace(pid))).Run())
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; !slices.Contains(strings.Split(want, "|"), strconv.Itoa(status)) {
		ts.Fatalf("exit status %d, want %s", status, want)
	}
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
