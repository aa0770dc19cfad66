package doctor

import (
	"fmt"
	"strings"

	"picket/cause"
)

// Results of a Subscribe or a Publish, beside TimedOut.
const (
	Granted  = "granted"
	Denied   = "denied"
	Returned = "returned" // the message came back
	Altered  = "altered"  // it came back with another payload
	Swallow  = "accepted" // acknowledged, or with QoS 0 sent, and it did not come back
	Lost     = "lost"     // the connection ended
	Unsent   = "unsent"   // above a limit that the server has announced
)

// Subscribe is a SUBSCRIBE to the topic of the test.
type Subscribe struct {
	Version  string       `json:"version"`
	Topic    string       `json:"topic"`
	Own      bool         `json:"own"` // the doctor's own topic, not one that the user has named
	Result   string       `json:"result"`
	Code     int          `json:"code"`
	Reason   string       `json:"reason,omitempty"`
	ReasonID cause.ID     `json:"reason_id,omitempty"`
	Ms       Milliseconds `json:"ms"`
}

func (Subscribe) Kind() string       { return "subscribe" }
func (Subscribe) Stage() cause.Stage { return cause.Use }

func (s Subscribe) Outcome() Outcome {
	if s.Result == Granted {
		return Good
	}
	return Bad
}

func (s Subscribe) Text() cause.Text {
	switch s.Result {
	case Granted:
		t := Say("subscribed to %s after %v", "已订阅 %s，用时 %v", s.Topic, s.Ms)
		if s.Code < 2 {
			t.EN += fmt.Sprintf(", at QoS %d only", s.Code)
			t.ZH += fmt.Sprintf("，但只给 QoS %d", s.Code)
		}
		return t
	case Denied:
		code := codeName("5.0", s.Code)
		t := cause.Text{EN: fmt.Sprintf("the subscription to %s is refused with %s", s.Topic, code.EN), ZH: fmt.Sprintf("订阅 %s 被拒绝，%s", s.Topic, code.ZH)}
		return withReason(t, s.Reason)
	case Lost:
		return Say("the connection ends upon the subscription to %s", "订阅 %s 时连接断开", s.Topic)
	}
	return Say("the subscription to %s is not answered within %v", "订阅 %s 没有应答，已等待 %v", s.Topic, s.Ms)
}

// Across is what becomes of messages that further connections to the same address publish on the topic of the test.
type Across struct {
	Topic       string `json:"topic"`
	Connections int    `json:"connections"`      // further ones that were tried
	Other       string `json:"other,omitempty"`  // the address of the last one, if it is another one of the same name
	Apart       bool   `json:"apart,omitempty"`  // the last one's message came back to it, and not to the first
	Thrown      bool   `json:"thrown,omitempty"` // each login ends the connection before it, though their identifiers differ
	Alone       string `json:"alone,omitempty"`  // the result of the last one, which was not let in while the first goes on
}

func (Across) Kind() string       { return "across" }
func (Across) Stage() cause.Stage { return cause.Use }

func (a Across) Outcome() Outcome {
	if a.Apart || a.Thrown || a.Alone != "" {
		return Bad
	}
	return Good
}

func (a Across) Text() cause.Text {
	if a.Thrown {
		return Say("each login ends the connection before it, though the client identifiers differ", "每次登录都会断开前一个连接，尽管 clientId 不同")
	}
	if a.Alone != "" {
		return Say("a second connection at the same time fails, though connections one after the other were let in", "逐个连接都能成功，而同时建立第二个连接失败")
	}
	if a.Other != "" {
		return Say("a connection to %s, another address of the same name, gets what it publishes, and this one, which has the same subscription, does not", "连到同一域名另一个地址 %s 的连接能收到自己发布的消息，而订阅相同的这个连接收不到", a.Other)
	}
	if a.Apart {
		return Say("another connection to the same address gets what it publishes, and this one, which has the same subscription, does not", "另一个连到同一地址的连接能收到自己发布的消息，而订阅相同的这个连接收不到")
	}
	return Say("what other connections publish arrives here as well", "其他连接发布的消息这里也能收到")
}

// Breach is the first thing that the server said on the connection of the test and that no server may say.
type Breach struct {
	Version string `json:"version"`
	Packet  string `json:"packet"`       // CONNACK: of an old session, where a new one was asked for; others: an identifier that was never sent
	ID      int    `json:"id,omitempty"` // that identifier
	// What is what could not be read, in the words of the program; the connection ended over it. Empty: it went on.
	What string `json:"what,omitempty"`
}

func (Breach) Kind() string       { return "breach" }
func (Breach) Stage() cause.Stage { return cause.Use }
func (Breach) Outcome() Outcome   { return Bad }

func (b Breach) Text() cause.Text {
	if b.What != "" {
		return Say("MQTT %s: the server says what no server may say: %s", "MQTT %s：服务端发来了不允许的内容：%s", b.Version, b.What)
	}
	if b.Packet == "CONNACK" {
		clause := "MQTT-3.2.2-1"
		if b.Version == "5.0" {
			clause = "MQTT-3.2.2-2"
		}
		return Say("CONNACK says that there is a session from before, though a new one was asked for (%s)", "要求的是新会话，CONNACK 却说有以前的会话（%s）", clause)
	}
	return Say("%s is for packet %d, and no packet with this identifier was sent", "%s 确认的是报文 %d，但没有发送过这个标识符的报文", b.Packet, b.ID)
}

// TopicChosen is that the access list has no place for the usual topic of the test, and one for a topic below the user's or the client's name.
type TopicChosen struct {
	Refused string `json:"refused"`
	Topic   string `json:"topic"`
}

func (TopicChosen) Kind() string       { return "topic" }
func (TopicChosen) Stage() cause.Stage { return cause.Use }
func (TopicChosen) Outcome() Outcome   { return Note }

func (t TopicChosen) Text() cause.Text {
	return Say("the access list does not allow %s, which is the test's own; it allows %s", "ACL 不允许测试自用的主题 %s，但允许 %s", t.Refused, t.Topic)
}

func withReason(t cause.Text, reason string) cause.Text {
	if reason == "" {
		return t
	}
	return cause.Text{EN: fmt.Sprintf("%s: %q", t.EN, reason), ZH: t.ZH + "：“" + reason + "”"}
}

// Publish is a message to the topic of the test, to which the same client is subscribed.
type Publish struct {
	Version  string       `json:"version"`
	Topic    string       `json:"topic"`
	Own      bool         `json:"own"`
	QoS      int          `json:"qos"`
	Retain   bool         `json:"retain,omitempty"`
	Size     int          `json:"size"` // of the payload, bytes
	Result   string       `json:"result"`
	Code     int          `json:"code"` // of the acknowledgement, MQTT 5
	Reason   string       `json:"reason,omitempty"`
	ReasonID cause.ID     `json:"reason_id,omitempty"`
	Ms       Milliseconds `json:"ms"` // until it was back
	// Delivered: the message came back, and was never acknowledged.
	Delivered bool `json:"delivered,omitempty"`
	// Came is in what the message that came back differs from the one that was sent; nil: in nothing.
	Came *Came `json:"came,omitempty"`
	// Kept: messages that were published before it without that are retained.
	Kept bool `json:"kept,omitempty"`
	// Small: the connection carried small packets only.
	Small bool `json:"small,omitempty"`
	// Sent and Acknowledged are bytes of ours, where the system tells.
	Sent         int `json:"sent,omitempty"`
	Acknowledged int `json:"acknowledged,omitempty"`
}

func (Publish) Kind() string       { return "publish" }
func (Publish) Stage() cause.Stage { return cause.Use }

func (p Publish) Outcome() Outcome {
	switch {
	case p.Small, p.Result == Returned && !p.Kept && p.mounted():
		return Note
	case p.Result == Returned && p.Came == nil && !p.Kept:
		return Good
	}
	return Bad
}

// mounted: the message came back as it was sent, under its topic with something in front. A listener's mount point does so: mosquitto 2.0 takes it off what
// clients publish and subscribe to, and leaves it in what they get.
func (p Publish) mounted() bool {
	c := p.Came
	return c != nil && c.Topic != "" && c.QoS == nil && c.Retain == nil && c.Size == nil && strings.HasSuffix(c.Topic, p.Topic)
}

// Came is in what a message that came back differs from what was sent.
type Came struct {
	Topic  string `json:"topic,omitempty"`  // another one
	QoS    *int   `json:"qos,omitempty"`    // lower than was published and granted
	Retain *bool  `json:"retain,omitempty"` // the flag, where it is not as it has to be
	Size   *int   `json:"size,omitempty"`   // of the payload, which is another one
}

// text goes on where the text about the message ends.
func (c *Came) text() cause.Text {
	var t cause.Text
	add := func(more cause.Text) { t.EN += more.EN; t.ZH += more.ZH }
	if c.Size != nil {
		add(Say(", with another payload (%s)", "，但内容变了（%s）", sizeText(*c.Size)))
	}
	if c.Topic != "" {
		add(Say(", under the topic %s", "，但主题变成了 %s", c.Topic))
	}
	if c.QoS != nil {
		add(Say(", at QoS %d", "，但 QoS 变成了 %d", *c.QoS))
	}
	if c.Retain != nil && *c.Retain {
		add(cause.Text{EN: ", marked as retained", ZH: "，但被标为保留消息"})
	}
	if c.Retain != nil && !*c.Retain {
		add(cause.Text{EN: ", and to a new subscription without the mark of a retained message", ZH: "，但发给新订阅时没有保留标志"})
	}
	return t
}

// Doubled is how many messages of the test have come more often than they were published. There is none where each came once.
type Doubled struct {
	Messages int `json:"messages"` // that came
	Doubled  int `json:"doubled"`
	AtMost   int `json:"at_most"` // how often one of them came
	// QoS1Alone: it were messages of QoS 1, which allows it.
	QoS1Alone bool `json:"qos1_alone,omitempty"`
}

func (Doubled) Kind() string       { return "doubled" }
func (Doubled) Stage() cause.Stage { return cause.Use }
func (Doubled) Outcome() Outcome   { return Bad }

func (d Doubled) Text() cause.Text {
	return Say("of %d messages, each published once, %d came more than once (up to %d times)", "%d 条消息各发布一次，其中 %d 条收到多次（最多 %d 次）", d.Messages, d.Doubled, d.AtMost)
}

// Late is how many messages came after the doctor had given up waiting for them.
type Late struct {
	Messages int `json:"messages"`
}

func (Late) Kind() string       { return "late" }
func (Late) Stage() cause.Stage { return cause.Use }
func (Late) Outcome() Outcome   { return Bad }

func (l Late) Text() cause.Text {
	return Say("messages that had been given up came later: %d", "已放弃等待的消息后来又收到了 %d 条", l.Messages)
}

// Astray is that a message, which did not come to those who are subscribed to its topic, comes to who is subscribed to everything.
type Astray struct {
	Topic string `json:"topic"` // to which it was published
	Came  string `json:"came"`  // under which it comes
}

func (Astray) Kind() string       { return "astray" }
func (Astray) Stage() cause.Stage { return cause.Use }
func (Astray) Outcome() Outcome   { return Bad }

func (a Astray) Text() cause.Text {
	return Say("what is published to %s comes to a subscription of everything (#), under the topic %s", "发布到 %s 的消息，订阅全部主题（#）时能收到，主题是 %s", a.Topic, a.Came)
}

// Dead is that a connection on which a message got stuck answers no PINGREQ either, and nobody has ended it.
type Dead struct {
	Version string       `json:"version"`
	Ms      Milliseconds `json:"ms"` // since it was made
}

func (Dead) Kind() string       { return "dead" }
func (Dead) Stage() cause.Stage { return cause.Use }
func (Dead) Outcome() Outcome   { return Bad }

func (d Dead) Text() cause.Text {
	return Say("the connection on which the message got stuck does not answer a ping either, %v after it was made", "消息卡住的那个连接也不应答心跳，此时它已建立 %v", d.Ms)
}

func (p Publish) what() cause.Text {
	t := Say("%s, QoS %d", "%s，QoS %d", sizeText(p.Size), p.QoS)
	if p.Retain {
		t.EN += ", retained"
		t.ZH += "，保留消息"
	}
	if p.Small {
		t.EN += ", in small packets"
		t.ZH += "，只用小包"
	}
	return t
}

func sizeText(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d B", n)
}

func (p Publish) Text() cause.Text {
	what := p.what()
	var t cause.Text
	switch p.Result {
	case Returned:
		t = cause.Text{EN: fmt.Sprintf("published (%s) and received after %v", what.EN, p.Ms), ZH: fmt.Sprintf("发布（%s）并收到，用时 %v", what.ZH, p.Ms)}
	case Altered:
		t = cause.Text{EN: fmt.Sprintf("published (%s), and what comes back after %v is not that", what.EN, p.Ms), ZH: fmt.Sprintf("发布（%s），%v 后收到的却不是原来的消息", what.ZH, p.Ms)}
	case Denied:
		t = cause.Text{EN: fmt.Sprintf("publishing (%s) is refused with %s", what.EN, codeName("5.0", p.Code).EN), ZH: fmt.Sprintf("发布（%s）被拒绝，%s", what.ZH, codeName("5.0", p.Code).ZH)}
		t = withReason(t, p.Reason)
	case Swallow:
		t = cause.Text{EN: fmt.Sprintf("published (%s), and nothing came back within %v", what.EN, p.Ms), ZH: fmt.Sprintf("已发布（%s），但 %v 内没有收到", what.ZH, p.Ms)}
	case Lost:
		t = cause.Text{EN: fmt.Sprintf("the connection ends upon publishing (%s)", what.EN), ZH: fmt.Sprintf("发布（%s）时连接断开", what.ZH)}
	case Unsent:
		t = cause.Text{EN: fmt.Sprintf("not published (%s): above what the broker announces", what.EN), ZH: fmt.Sprintf("未发布（%s）：超过服务端声明的限制", what.ZH)}
	default:
		t = cause.Text{EN: fmt.Sprintf("publishing (%s) is not answered within %v", what.EN, p.Ms), ZH: fmt.Sprintf("发布（%s）没有应答，已等待 %v", what.ZH, p.Ms)}
	}
	if p.Came != nil {
		more := p.Came.text()
		t.EN, t.ZH = t.EN+more.EN, t.ZH+more.ZH
	}
	if p.Kept {
		t.EN += "; messages from before, which were not published so, are retained as well"
		t.ZH += "；之前没有标为保留的消息也被保留了"
	}
	return t
}

// Ended is the end of a connection that should have lasted.
type Ended struct {
	During    string       `json:"during"` // login, use, round-trips, takeover, talking or stay
	Version   string       `json:"version"`
	How       string       `json:"how"` // disconnect, closed, reset or alert
	Code      int          `json:"code,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	ReasonID  cause.ID     `json:"reason_id,omitempty"`
	Reference string       `json:"reference,omitempty"`
	Ms        Milliseconds `json:"ms"` // how long it lasted
}

// Disconnected is a How of Ended: the server sent a DISCONNECT.
const Disconnected = "disconnect"

func (Ended) Kind() string { return "ended" }

func (e Ended) Stage() cause.Stage {
	if e.During == "use" {
		return cause.Use
	}
	return cause.Stay
}

func (Ended) Outcome() Outcome { return Bad }

func (e Ended) Text() cause.Text {
	if e.During == "talking" && e.How != Disconnected {
		return Say("a connection that is never quiet ends after %v as well", "从不静默的连接也在 %v 后断开", e.Ms)
	}
	switch e.How {
	case Disconnected:
		code := codeName("5.0", e.Code)
		t := withReason(cause.Text{EN: fmt.Sprintf("the broker disconnects after %v with %s", e.Ms, code.EN), ZH: fmt.Sprintf("%v 后服务端主动断开，%s", e.Ms, code.ZH)}, e.Reason)
		if e.Reference != "" {
			t.EN += "; it names another server: " + e.Reference
			t.ZH += "；并指向另一台服务器：" + e.Reference
		}
		return t
	case WasReset:
		return Say("the connection is reset after %v", "%v 后连接被重置", e.Ms)
	}
	return Say("the connection is closed after %v", "%v 后连接被关闭", e.Ms)
}

// RoundTrips are pings of MQTT on one connection, and what the system knows about the same connection. The times are those of pings that were
// sent one after the other; Sent and Answered count a volley of further pings, too.
type RoundTrips struct {
	Sent     int          `json:"sent"`
	Answered int          `json:"answered"`
	Min      Milliseconds `json:"min_ms"`
	Median   Milliseconds `json:"median_ms"`
	P95      Milliseconds `json:"p95_ms"`
	Max      Milliseconds `json:"max_ms"`
	Jitter   Milliseconds `json:"jitter_ms"` // mean difference of neighbours (RFC 3550 without its smoothing)
	Late     int          `json:"late"`      // pings that took lateMs longer than the quickest: a packet had to be sent again
	// Network is the shortest round trip that the system's TCP has measured, without the broker's own time. 0: not known.
	Network Milliseconds `json:"network_ms,omitempty"`
	// What the system tells about the connection since its start: segments of ours, how many of them had to be sent again, segments of the
	// broker's that came out of order because one before them was lost, and how the network's own round trips vary. Segments of 0: it
	// tells nothing.
	Segments      int          `json:"segments,omitempty"`
	Retransmitted int          `json:"retransmitted,omitempty"`
	OutOfOrder    int          `json:"out_of_order,omitempty"`
	Variation     Milliseconds `json:"variation_ms,omitempty"`
	// Busy is how late this machine woke the doctor on average while it measured: what a crowded processor adds at each step is not the network's.
	Busy Milliseconds `json:"busy_ms,omitempty"`
}

// LateMs is how much longer than the quickest a ping takes when a packet was lost: TCP waits at least 200 ms before it sends again.
const LateMs = 180

// Excuse is what this machine may have added to the time of a ping: it wakes the client's reader and who waits for it, and on one machine
// also the broker's two ends.
func (r RoundTrips) Excuse() Milliseconds { return 4 * r.Busy }

func (RoundTrips) Kind() string       { return "round-trips" }
func (RoundTrips) Stage() cause.Stage { return cause.Stay }

func (r RoundTrips) Outcome() Outcome {
	if r.Answered < r.Sent || r.Lossy() || r.slow() || r.far() {
		return Bad
	}
	return Good
}

// Losses is how many packets were lost, as far as can be seen. A late answer alone may be the broker's, or this machine's, being busy; it counts
// where the system tells nothing, or has seen that something was missing.
func (r RoundTrips) Losses() int {
	switch {
	case r.Segments == 0:
		return r.Late + r.Sent - r.Answered
	case r.OutOfOrder > 0:
		return r.Retransmitted + max(r.Late, 1)
	case r.trip() > firstResend: // the system sends again before an answer can be there, until it has learnt how long that takes
		return max(r.Retransmitted-2, 0)
	}
	return r.Retransmitted
}

// firstResend is how many milliseconds a system waits for an answer from somewhere unknown (RFC 6298, 2.1), less what it needs itself.
const firstResend = 900

// Lossy tells whether the network loses packets or lets them wait.
func (r RoundTrips) Lossy() bool {
	if r.died() {
		return false
	}
	felt := r.Segments == 0 || r.Late > 0 || r.OutOfOrder > 0 || r.Losses()*tooMany > r.Segments
	return r.Losses() >= manyLosses && felt || r.Losses() >= 2 && r.Late > 0 || r.jittery()
}

// died: pings were answered at once, and then none at all, as when a connection has been forgotten on the way: what was sent again says nothing of the line.
func (r RoundTrips) died() bool {
	return r.Answered == r.Sent-1 && r.Answered >= diedAfter && r.Late == 0 && r.OutOfOrder == 0 && r.P95-r.Min < LateMs
}

// diedAfter is how many answered pings show that the line was well.
const diedAfter = 3

// tooMany is the share of segments from which on losses count that no answer was late for: one in so many. A system sends again too early where it is busy
// itself, and once where a router has told it of a smaller packet size.
const tooMany = 16

// manyLosses are too many for chance on a connection of some hundred packets; fewer count when they have delayed answers.
const manyLosses = 3

// jittery: neighbouring pings differ by more than 30 ms and by more than a quarter of the round trip, or the slow ones take much longer than the
// quickest; and the network is to blame for that.
func (r RoundTrips) jittery() bool {
	near := r.Jitter > 30+r.Excuse() && r.Jitter > r.Median/4 && (r.Segments == 0 || r.Variation > 20)
	spread := r.P95-r.Min > 120+r.Excuse() && r.P95 > 3*r.Min/2 && r.Jitter > 20+r.Excuse() && r.Variation > 30
	return near || spread || r.uneven()
}

// uneven: the system's own measure of the line scatters so much that nothing else is to blame, however busy this machine is.
func (r RoundTrips) uneven() bool { return r.Variation > 50 && r.P95-r.Min > 200 && r.Jitter > 50 }

// far: the network alone takes more than 150 ms there and back.
func (r RoundTrips) far() bool { return r.Answered > 0 && r.trip() > farMs }

// trip is the network's share of a round trip.
func (r RoundTrips) trip() Milliseconds {
	if r.Network > 0 {
		return min(r.Network, r.Min)
	}
	return r.Min
}

// slow: the broker itself takes its time: half of the pings wait for 100 ms more than the network needs, and more than by how much the line varies.
func (r RoundTrips) slow() bool {
	return r.Answered > 0 && r.Network > 0 && r.Median-r.Network > 100+r.Excuse()+2*r.Variation && r.Median > 3*r.Network
}

// farMs is a round trip, in milliseconds, that people notice: half around the globe.
const farMs = 150

// busyMs is a delay that is worth a word.
const busyMs = 5

func (r RoundTrips) Text() cause.Text {
	if r.Answered == 0 {
		return Say("none of %d pings is answered", "%d 次心跳都没有应答", r.Sent)
	}
	t := Say("round trip %v (%v to %v, jitter %v), %d of %d pings answered", "往返 %v（%v 到 %v，抖动 %v），心跳应答 %d/%d",
		r.Median, r.Min, r.Max, r.Jitter, r.Answered, r.Sent)
	if r.Late > 0 || r.Retransmitted > 0 {
		t.EN += fmt.Sprintf(", %d late", r.Late)
		t.ZH += fmt.Sprintf("，%d 次迟到", r.Late)
		if r.Segments > 0 {
			t.EN += fmt.Sprintf(", %d of %d segments sent again, %d out of order", r.Retransmitted, r.Segments, r.OutOfOrder)
			t.ZH += fmt.Sprintf("，%d/%d 个报文段重传，%d 个乱序", r.Retransmitted, r.Segments, r.OutOfOrder)
		}
	}
	if r.Busy > busyMs {
		t.EN += fmt.Sprintf("; this machine is busy and adds about %v at each step", r.Busy)
		t.ZH += fmt.Sprintf("；本机繁忙，每一步约增加 %v", r.Busy)
	}
	if r.slow() {
		t.EN += fmt.Sprintf("; the network alone takes %v", r.Network)
		t.ZH += fmt.Sprintf("；其中网络只占 %v", r.Network)
	}
	return t
}

// Results of an Idle, beside Disconnected, WasClosed, WasReset and TimedOut (the connection is dead and nobody has said so).
const (
	Alive    = "alive"
	Untested = "untested" // the broker wants to be pinged before the time is over, or did not let the connection in
)

// Idle is a connection on which nothing was sent for a while.
type Idle struct {
	Seconds int     `json:"seconds"` // how long it was to be quiet
	Lasted  float64 `json:"lasted"`  // seconds until it ended
	Result  string  `json:"result"`
	Spoke   bool    `json:"spoke,omitempty"` // it ended when something was sent at last: it had been dead before, and nobody had said so
	Code    int     `json:"code,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	// KeepAlive is the keep alive in force, in seconds.
	KeepAlive int    `json:"keep_alive"`
	Scheme    string `json:"scheme"`
}

func (Idle) Kind() string       { return "idle" }
func (Idle) Stage() cause.Stage { return cause.Stay }

func (i Idle) Outcome() Outcome {
	switch i.Result {
	case Alive:
		return Good
	case Untested:
		return Note
	}
	return Bad
}

func (i Idle) Text() cause.Text {
	switch i.Result {
	case Alive:
		return Say("quiet for %d s: still connected", "静默 %d 秒：连接仍在", i.Seconds)
	case Untested:
		return Say("quiet for %d s: not tested; the keep alive that the broker allows is %d s", "静默 %d 秒：未测试；服务端允许的 keepalive 为 %d 秒", i.Seconds, i.KeepAlive)
	case TimedOut:
		return Say("quiet for %d s: the connection is dead, and nobody has said so", "静默 %d 秒：连接已失效，却没有任何通知", i.Seconds)
	case Disconnected:
		code := codeName("5.0", i.Code)
		return withReason(cause.Text{EN: fmt.Sprintf("quiet: the broker disconnects after %.1f s with %s", i.Lasted, code.EN), ZH: fmt.Sprintf("静默：%.1f 秒后服务端主动断开，%s", i.Lasted, code.ZH)}, i.Reason)
	case WasReset:
		return Say("quiet: the connection is reset after %.1f s", "静默：%.1f 秒后连接被重置", i.Lasted)
	}
	return Say("quiet: the connection is closed after %.1f s", "静默：%.1f 秒后连接被关闭", i.Lasted)
}

// Takeover is what became of a connection with the client identifier that the user has given, while one with a random identifier was open too.
type Takeover struct {
	ID     string  `json:"id"`
	Held   float64 `json:"held"`  // seconds for which it was watched
	Times  int     `json:"times"` // how often it was ended in favour of another connection
	Random bool    `json:"random_stays"`
}

func (Takeover) Kind() string       { return "takeover" }
func (Takeover) Stage() cause.Stage { return cause.Stay }

func (k Takeover) Outcome() Outcome {
	if k.Times > 0 {
		return Bad
	}
	return Good
}

func (k Takeover) Text() cause.Text {
	if k.Times == 0 {
		return Say("the client identifier %s stays connected for %.0f s", "clientId %s 稳定连接了 %.0f 秒", k.ID, k.Held)
	}
	t := cause.Text{
		EN: fmt.Sprintf("the client identifier %s is thrown out %d times within %.0f s", k.ID, k.Times, k.Held),
		ZH: fmt.Sprintf("clientId %s 在 %.0f 秒内被踢下线 %d 次", k.ID, k.Held, k.Times),
	}
	if k.Random {
		t.EN += ", a random one stays"
		t.ZH += "，随机的 clientId 则稳定"
	}
	return t
}
