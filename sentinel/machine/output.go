package machine

// Output is something the machine wants done. Outputs are carried out in the order they come.
type Output interface{ output() }

// ConnKind says what a connection is for.
type ConnKind uint8

// The kinds of connections.
const (
	Commands      ConnKind = iota // PING, INFO, PUBLISH, SLAVEOF, votes
	Subscription                  // the hello channel
	PermissionTry                 // tries which commands are allowed, then ends
)

// Connect asks for a TCP (or TLS) connection. Connected or Disconnected answers it.
type Connect struct {
	Link LinkID
	Kind ConnKind
	Peer Kind   // what is at the other end
	Name string // the instance, for logs
	Host string // an IP address, or a name that could not be resolved yet
	Port int
}

// Close ends a connection. No Disconnected is expected, and what still comes from it is ignored.
type Close struct {
	Link  LinkID
	Abort bool // what was written and has not arrived need not, and should not
}

// Send writes a command. Its reply comes back through Reply.
type Send struct {
	Link    LinkID
	Command []string
}

// Save asks for State to be written and synced before the outputs that follow are carried out, and for Saved to be called
// with Seq. One write serves all Saves up to that moment.
type Save struct{ Seq uint64 }

// Level is an event's severity.
type Level uint8

// The severities. Debug events are logged but not published; those of Warning are handed to notification scripts.
const (
	Debug Level = iota
	Verbose
	Notice
	Warning
)

// Event is something to log and to publish to clients on the channel that has its name.
type Event struct {
	Level   Level
	Name    string // such as +sdown
	Payload string
	Master  string // the master it is about, if any
	Epoch   int64  // of the failover of ours that runs, 0: none
	ByHand  bool   // that failover was asked for by a client, so the master need not be down
	Unvoted bool   // and needs no votes
}

// Held tells that a gate holds a failover back, or that it no longer does. It is logged under the catalogue's id and not published.
type Held struct {
	Gate
	Master string
	Over   bool
}

// ScriptID names one script in the queue.
type ScriptID uint64

// StartScript asks for a script to be started; ScriptStarted or ScriptEnded answers.
type StartScript struct {
	ID   ScriptID
	Argv []string
}

// KillScript asks for a running script to be killed; ScriptEnded follows.
type KillScript struct{ ID ScriptID }

// Exit asks for the process to end at once with a code and without writing anything: a simulated crash.
type Exit struct {
	Code   int
	Reason string
}

// Drop tells the shell that all connections of clients stay as they are but that the named master is gone, so that figures kept
// for it can go too.
type Drop struct{ Master string }

func (Connect) output()     {}
func (Close) output()       {}
func (Send) output()        {}
func (Save) output()        {}
func (Event) output()       {}
func (Held) output()        {}
func (StartScript) output() {}
func (KillScript) output()  {}
func (Exit) output()        {}
func (Drop) output()        {}

// Take returns the outputs since the last call.
func (m *Machine) Take() []Output {
	out := m.out
	m.out = nil
	return out
}

func (m *Machine) emit(o Output) { m.out = append(m.out, o) }

// event logs and publishes, and hands warnings about an instance to its master's notification script.
func (m *Machine) event(l Level, name string, n *node, payload string) {
	e := Event{Level: l, Name: name, Payload: payload}
	if n != nil {
		e.Master = n.master.name
		if n.master.has(failoverInProgress) {
			e.Epoch, e.ByHand = n.master.failoverEpoch, n.master.has(forceFailover)
			e.Unvoted = e.ByHand && !n.master.has(coordinated)
		}
	}
	m.emit(e)
	if l == Warning && n != nil && n.master.notificationScript != "" {
		m.schedule(n.master.notificationScript, name, payload)
	}
}

// eventAt is event with the instance's details as payload.
func (m *Machine) eventAt(l Level, name string, n *node) { m.event(l, name, n, m.details(n)) }

// save asks for the state to be kept and returns the number to wait for.
func (m *Machine) save() uint64 {
	m.saveSeq++
	m.saveTried = m.now()
	m.emit(Save{Seq: m.saveSeq})
	return m.saveSeq
}

// saveVote is save for what others will be told: a raised epoch, a vote.
func (m *Machine) saveVote() uint64 {
	m.voteSeq = m.save()
	return m.voteSeq
}

// Saved tells that the state of Save seq, and all before it, is safe, or that it could not be written.
func (m *Machine) Saved(seq uint64, err error) {
	if err != nil {
		m.saveFailed = true
		return
	}
	m.saveFailed = m.saveFailed && seq < m.saveSeq
	if seq > m.durable {
		if m.durable < m.voteSeq && seq >= m.voteSeq {
			for _, ms := range m.masters {
				m.wake(ms)
			}
		}
		m.durable = seq
	}
}

// told reports whether what others may learn from us (epochs, votes) is safe.
func (m *Machine) told() bool { return m.durable >= m.voteSeq }
