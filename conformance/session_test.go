//go:build unix

package conformance

import (
	"time"

	"picket/packet"
)

// leftBehind makes a session with a subscription to the returned topic and drops its connection.
func leftBehind(e *env, qos byte) (id, topic string) {
	c := e.connect(lasting)
	topic = e.topic("left")
	c.subscribe(topic, qos)
	c.drop()
	return c.id, topic
}

func cleanStartDiscards(e *env) {
	id, topic := leftBehind(e, 1)
	c := e.connect(withID(id), lasting, clean)
	if c.ack.SessionPresent {
		e.Error("session present with a clean start")
	}
	e.connect().publish(topic, 1, "x")
	c.quiet()
}

func sessionResumed(e *env) {
	id, topic := leftBehind(e, 1)
	e.connect().publish(topic, 1, "while away")
	c := e.connect(withID(id), lasting)
	if !c.ack.SessionPresent {
		e.Error("session present is not set")
	}
	c.accept(c.message(topic, "while away"))
	e.connect().publish(topic, 1, "now")
	c.accept(c.message(topic, "now"))
}

func sessionNew(e *env) {
	c := e.connect(lasting)
	if c.ack.SessionPresent {
		e.Error("session present without a session")
	}
	topic := e.topic("a")
	c.subscribe(topic, 0)
	c.publish(topic, 0, "x")
	c.message(topic, "x")
}

// sessionKeptBothQoS: QoS 1 and 2 messages are stored for the session while its client is away.
func sessionKeptBothQoS(e *env) {
	id, topic := leftBehind(e, 2)
	p := e.connect()
	p.publish(topic, 1, "one")
	p.publish(topic, 2, "two")
	c := e.connect(withID(id), lasting)
	for _, s := range []string{"one", "two"} {
		c.accept(c.message(topic, s))
	}
	c.quiet()
}

// cleanSessionNotKept: what a clean session knew is gone with it.
func cleanSessionNotKept(e *env) {
	c := e.connect()
	topic := e.topic("a")
	c.subscribe(topic, 1)
	c.drop()
	c = e.connect(withID(c.id), lasting)
	if c.ack.SessionPresent {
		e.Error("session present after a clean session")
	}
	e.connect().publish(topic, 1, "x")
	c.quiet()
}

// retainedOutliveSession: retained messages are no part of the session.
func retainedOutliveSession(e *env) {
	c := e.connect()
	topic := e.topic("kept")
	c.retain(topic, 1, "x")
	c.leave()
	c = e.connect(withID(c.id))
	c.subscribe(topic, 0)
	c.message(topic, "x")
}

func sessionExpires(e *env) {
	c := e.connect(lasting, expiry(1))
	c.subscribe(e.topic("a"), 1)
	c.drop()
	// The broker of a busy machine may be late: who finds the session comes again later.
	for wait := 2500 * time.Millisecond; ; wait *= 2 {
		time.Sleep(wait)
		if c = e.connect(withID(c.id), lasting, expiry(1)); !c.ack.SessionPresent {
			return
		}
		c.drop()
		if wait > patience {
			e.Fatalf("the session is there %v after its end, with an expiry of 1 s", wait)
		}
	}
}

// sessionKeptWhileOpen: the Session Expiry Interval runs from the end of the connection only.
func sessionKeptWhileOpen(e *env) {
	c := e.connect(lasting, expiry(2))
	topic := e.topic("a")
	c.subscribe(topic, 1)
	time.Sleep(3500 * time.Millisecond)
	// From here on it lasts, however long it takes to come back.
	c.send(&packet.Disconnect{Props: (&packet.Properties{SessionExpiry: 100}).Set(packet.SessionExpiryInterval)})
	c.drop()
	if c = e.connect(withID(c.id), lasting); !c.ack.SessionPresent {
		e.Fatal("the session is gone though the connection was open")
	}
	e.connect().publish(topic, 1, "x")
	c.accept(c.message(topic, "x"))
}

// Wills.

func lastWords(topic string, qos byte, retain bool) *packet.Will {
	return &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: qos, Retain: retain}
}

func delayed(w *packet.Will, seconds uint32) *packet.Will {
	w.Props = (&packet.Properties{WillDelay: seconds}).Set(packet.WillDelayInterval)
	return w
}

func willPublished(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 2)
	for qos := range byte(3) {
		topic := e.topic("will")
		e.connect(will(lastWords(topic, qos, false))).drop()
		m := watcher.message(topic, "gone")
		if m.QoS != qos || m.Retain {
			e.Error(describe(m))
		}
		watcher.accept(m)
	}
	// A protocol error ends a connection without DISCONNECT, too.
	c := e.connect(will(lastWords(e.topic("error"), 0, false)))
	c.sendRaw([]byte{0x36, 0})
	watcher.message(e.topic("error"), "gone")
	e.connect(will(lastWords(e.topic("late"), 0, false)), keepAlive(1))
	watcher.message(e.topic("late"), "gone")
}

func willDiscarded(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 0)
	c := e.connect(lasting, will(lastWords(e.topic("will"), 0, false)))
	c.leave()
	watcher.quiet()
	// Nor does it come back with the session.
	e.connect(withID(c.id), lasting).drop()
	watcher.quiet()
}

// willOnce: a will that was published is gone from the session.
func willOnce(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 0)
	c := e.connect(lasting, will(lastWords(e.topic("will"), 0, false)))
	c.drop()
	watcher.message(e.topic("will"), "gone")
	e.connect(withID(c.id), lasting).drop()
	watcher.quiet()
	willDiscarded(e.fresh())
}

func noWill(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 0)
	c := e.connect()
	c.publish(e.topic("a"), 0, "alive")
	watcher.message(e.topic("a"), "alive")
	c.drop()
	watcher.quiet()
}

func willNotRetained(e *env) { willRetained(e, false) }
func willIsRetained(e *env)  { willRetained(e, true) }

func willRetained(e *env, retain bool) {
	topic := e.topic("will")
	watcher := e.connect()
	watcher.subscribe(topic, 0)
	e.connect(will(lastWords(topic, 1, retain))).drop()
	if m := watcher.message(topic, "gone"); m.Retain {
		e.Error(describe(m))
	}
	late := e.connect()
	late.subscribe(topic, 0)
	if !retain {
		late.quiet()
	} else if m := late.message(topic, "gone"); !m.Retain {
		e.Error(describe(m))
	}
}

func willDelay(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 0)
	// The session outlives the delay: the will comes after the delay.
	c := e.connect(lasting, will(delayed(lastWords(e.topic("delay"), 0, false), 2)))
	begin := time.Now()
	c.drop()
	watcher.message(e.topic("delay"), "gone")
	if d := time.Since(begin); d < time.Second { // counted from before the end of the connection: a slow machine makes it longer only
		e.Errorf("the will came after %v, its delay is 2 s", d)
	}
	// The session ends before the delay: so does the waiting.
	e.connect(will(delayed(lastWords(e.topic("session"), 0, false), 100))).drop()
	watcher.message(e.topic("session"), "gone")
	// DISCONNECT with code 0x04 asks for the will.
	c = e.connect(will(lastWords(e.topic("asked"), 0, false)))
	c.send(&packet.Disconnect{Code: packet.DisconnectWithWill})
	watcher.message(e.topic("asked"), "gone")
}

func willDelayInterrupted(e *env) {
	watcher := e.connect()
	watcher.subscribe(e.topic("#"), 0)
	c := e.connect(lasting, will(delayed(lastWords(e.topic("will"), 0, false), 10))) // a busy machine may stand still for some seconds
	c.drop()
	c = e.connect(lasting, withID(c.id))
	time.Sleep(11500 * time.Millisecond)
	c.publish(e.topic("alive"), 0, "x")
	watcher.message(e.topic("alive"), "x")
}

func willUserProperties(e *env) {
	watcher := e.connect()
	topic := e.topic("will")
	watcher.subscribe(topic, 0)
	w := lastWords(topic, 0, false)
	w.Props = someProperties()
	e.connect(will(w)).drop()
	sameProperties(watcher, watcher.message(topic, "gone"))
}
