package machine

import "strconv"

// Limits of the scripts: how many run at once, how many wait or run, how often one is tried.
const (
	maxRunning = 16
	maxQueue   = 256
	maxTries   = 10
)

type script struct {
	id      ScriptID
	argv    []string
	running bool
	killed  bool
	pid     int
	startAt int64 // waiting: when it may start, 0: at once; running: when it was started
	tries   int
}

// schedule puts a script in the queue. When that is full the oldest one not running yet makes room.
func (m *Machine) schedule(argv ...string) {
	if len(m.scripts) >= maxQueue {
		for i, s := range m.scripts {
			if !s.running {
				m.scripts = append(m.scripts[:i], m.scripts[i+1:]...)
				break
			}
		}
	}
	m.nextScript++
	m.scripts = append(m.scripts, &script{id: m.nextScript, argv: argv})
}

// reconfigScript tells a master's client-reconfig-script that clients should go elsewhere.
func (m *Machine) reconfigScript(ms *master, role string, from, to Addr) {
	if ms.reconfigScriptPath == "" {
		return
	}
	m.schedule(ms.reconfigScriptPath, ms.name, role, "start", m.show(from), strconv.Itoa(from.Port), m.show(to), strconv.Itoa(to.Port))
}

// runScripts starts what is due, oldest first, and kills what runs too long.
func (m *Machine) runScripts() {
	running := 0
	for _, s := range m.scripts {
		if !s.running {
			continue
		}
		running++
		if !s.killed && m.now()-s.startAt > m.tune.ScriptMaxRuntime {
			s.killed = true
			m.event(Warning, "-script-timeout", nil, s.argv[0]+" "+strconv.Itoa(s.pid))
			m.emit(KillScript{ID: s.id})
		}
	}
	for _, s := range m.scripts {
		if running >= maxRunning {
			return
		}
		if s.running || s.startAt > m.now() {
			continue
		}
		s.running, s.killed = true, false
		s.startAt = m.now()
		s.tries++
		running++
		m.emit(StartScript{ID: s.id, Argv: s.argv})
	}
}

func (m *Machine) script(id ScriptID) (int, *script) {
	for i, s := range m.scripts {
		if s.id == id {
			return i, s
		}
	}
	return -1, nil
}

// ScriptStarted tells a script's process.
func (m *Machine) ScriptStarted(id ScriptID, pid int) {
	if _, s := m.script(id); s != nil {
		s.pid = pid
		m.event(Debug, "+script-child", nil, strconv.Itoa(pid))
	}
}

// ScriptFailed tells that a script could not be started at all: that is final, like an exit status of 2.
func (m *Machine) ScriptFailed(id ScriptID) { m.ScriptEnded(id, 2, 0) }

// ScriptEnded tells how a script ended: by its exit status, or by a signal (not 0).
func (m *Machine) ScriptEnded(id ScriptID, status, signal int) {
	i, s := m.script(id)
	if s == nil {
		return
	}
	m.event(Debug, "-script-child", nil, strconv.Itoa(s.pid)+" "+strconv.Itoa(status)+" "+strconv.Itoa(signal))
	if (signal != 0 || status == 1) && s.tries < maxTries {
		s.running, s.pid = false, 0
		s.startAt = m.now() + m.tune.ScriptRetryDelay<<(s.tries-1)
		return
	}
	m.scripts = append(m.scripts[:i], m.scripts[i+1:]...)
	if signal != 0 || status != 0 {
		m.event(Warning, "-script-error", nil, s.argv[0]+" "+strconv.Itoa(signal)+" "+strconv.Itoa(status))
	}
}

// PendingScript is one entry of SENTINEL PENDING-SCRIPTS.
type PendingScript struct {
	Argv    []string
	Running bool
	PID     int
	Time    int64 // running: for how long; else: how long until it starts, in milliseconds
	Retry   int
}

// PendingScripts lists the queue, oldest first.
func (m *Machine) PendingScripts() []PendingScript {
	list := make([]PendingScript, 0, len(m.scripts))
	for _, s := range m.scripts {
		p := PendingScript{Argv: s.argv, Running: s.running, PID: s.pid, Retry: s.tries}
		if s.running {
			p.Time = m.now() - s.startAt
		} else if s.startAt != 0 {
			p.Time = max(s.startAt-m.now(), 0)
		}
		list = append(list, p)
	}
	return list
}

// runningScripts counts them.
func (m *Machine) runningScripts() int {
	n := 0
	for _, s := range m.scripts {
		if s.running {
			n++
		}
	}
	return n
}
