package sentinel

import (
	"errors"
	"os"
	"os/exec"

	"picket/sentinel/machine"
)

// startScript runs a script: without a shell, with our environment and standard streams, and no other descriptor of ours.
func (s *Sentinel) startScript(o machine.StartScript) {
	cmd := exec.Command(o.Argv[0], o.Argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		s.log.printf(LogWarning, "Script %s could not be started: %v", o.Argv[0], err)
		s.m.ScriptFailed(o.ID)
		return
	}
	s.scripts[o.ID] = cmd.Process
	s.m.ScriptStarted(o.ID, cmd.Process.Pid)
	go func() {
		// Scripts may outlive us, as they do Redis' Sentinel, so nothing waits for this at the end.
		err := cmd.Wait()
		var exit *exec.ExitError
		status, signal := 0, 0
		if errors.As(err, &exit) {
			status, signal = exitSignal(exit.ProcessState)
		} else if err != nil {
			status = 2
		}
		s.post(func() {
			delete(s.scripts, o.ID)
			s.m.ScriptEnded(o.ID, status, signal)
		})
	}()
}
